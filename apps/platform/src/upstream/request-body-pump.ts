/** @module The client's body to a runtime, with back-pressure and without a false end. */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { releaseChunk } from '@atrium/http-kit/release-chunk'

/** Counted on what really arrives: a chunked body declares nothing. */
export type BodyLimit = {
  readonly maxBytes: number
  /** What the client is told. */
  readonly exceeded: () => Error
}

/**
 * Moves `incoming` into `upstream`. A plain `pipe` would end the upstream request when an aborted
 * client closes, and the runtime would take half a file for a whole one: this ends it only when
 * the client's message is complete, and otherwise reports `onBroken`.
 */
export class RequestBodyPump {
  readonly #incoming: IncomingMessage
  readonly #upstream: ClientRequest
  readonly #progressed: () => void
  readonly #onBroken: (reason: Error) => void
  readonly #limit: BodyLimit | undefined
  #taken = 0
  #isRunning = false
  #isBlocked = false

  constructor(
    route: {
      readonly incoming: IncomingMessage
      readonly upstream: ClientRequest
      readonly limit: BodyLimit | undefined
    },
    events: { readonly progressed: () => void; readonly onBroken: (reason: Error) => void },
  ) {
    this.#incoming = route.incoming
    this.#upstream = route.upstream
    this.#limit = route.limit
    this.#progressed = events.progressed
    this.#onBroken = events.onBroken
  }

  /** Whether it is the runtime that everybody is waiting for: a client that has sent all is not. */
  get isBlockedByRuntime(): boolean {
    return this.#isBlocked || this.#incoming.complete
  }

  start(): void {
    this.#isRunning = true
    if (this.#incoming.destroyed) {
      this.#onClose()
      return
    }
    this.#incoming.on('data', this.#onData)
    this.#incoming.on('end', this.#onEnd)
    this.#incoming.on('error', this.#onBroken)
    this.#incoming.on('close', this.#onClose)
    this.#upstream.on('drain', this.#onDrain)
  }

  /** Stops reading from the client; what it goes on sending waits in the kernel. Idempotent. */
  stop(): void {
    if (!this.#isRunning) return
    this.#isRunning = false
    this.#incoming.off('data', this.#onData)
    this.#incoming.off('end', this.#onEnd)
    this.#incoming.off('error', this.#onBroken)
    this.#incoming.off('close', this.#onClose)
    this.#upstream.off('drain', this.#onDrain)
    this.#incoming.pause()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#progressed()
    this.#taken += chunk.length
    if (this.#limit !== undefined && this.#taken > this.#limit.maxBytes) {
      this.stop()
      this.#onBroken(this.#limit.exceeded())
      return
    }
    const hasRoom = this.#upstream.write(chunk, (error) => {
      // After an error the kernel may still refer to it.
      if (error === undefined || error === null) releaseChunk(chunk)
    })
    if (hasRoom) return
    this.#isBlocked = true
    this.#incoming.pause()
  }

  readonly #onDrain = (): void => {
    this.#progressed()
    this.#isBlocked = false
    this.#incoming.resume()
  }

  readonly #onEnd = (): void => {
    if (this.#incoming.complete) this.#upstream.end()
  }

  readonly #onClose = (): void => {
    if (!this.#incoming.complete) this.#onBroken(new Error('client broke off its upload'))
  }
}
