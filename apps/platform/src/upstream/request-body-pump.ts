/** @module The client's body to a runtime, with back-pressure and without a false end. */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { releaseChunk } from '@atrium/http-kit/release-chunk'
import type { RetainedBody } from './retained-body.ts'

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
  readonly #retained: RetainedBody | undefined
  readonly #begun: readonly Buffer[]
  #patience: NodeJS.Timeout | undefined
  #taken = 0
  #isRunning = false
  #isBlocked = false

  constructor(
    route: {
      readonly incoming: IncomingMessage
      readonly upstream: ClientRequest
      readonly limit: BodyLimit | undefined
      /** Keeps what is taken, as far as it goes, for another attempt. */
      readonly retained?: RetainedBody | undefined
      /** What an earlier attempt has taken already. */
      readonly begun?: readonly Buffer[] | undefined
    },
    events: { readonly progressed: () => void; readonly onBroken: (reason: Error) => void },
  ) {
    this.#incoming = route.incoming
    this.#upstream = route.upstream
    this.#limit = route.limit
    this.#retained = route.retained
    this.#begun = route.begun ?? []
    this.#progressed = events.progressed
    this.#onBroken = events.onBroken
  }

  /** Whether it is the runtime that everybody is waiting for: a client that has sent all is not. */
  get isBlockedByRuntime(): boolean {
    return this.#isBlocked || this.#incoming.complete
  }

  start(): void {
    this.#isRunning = true
    this.#upstream.on('drain', this.#onDrain)
    for (const piece of this.#begun) this.#send(piece)
    // Taken to its end by the attempt before: that event does not come again.
    if (this.#incoming.readableEnded) {
      this.#onEnd()
      return
    }
    if (this.#incoming.destroyed) {
      this.#onClose()
      return
    }
    this.#incoming.on('data', this.#onData)
    this.#incoming.on('end', this.#onEnd)
    this.#incoming.on('error', this.#onBroken)
    this.#incoming.on('close', this.#onClose)
    if (this.#isBlocked) this.#incoming.pause()
    else this.#incoming.resume()
  }

  /** Stops reading from the client; what it goes on sending waits in the kernel. Idempotent. */
  stop(): void {
    if (!this.#isRunning) return
    this.#isRunning = false
    clearTimeout(this.#patience)
    this.#incoming.off('data', this.#onData)
    this.#incoming.off('end', this.#onEnd)
    this.#incoming.off('error', this.#onBroken)
    this.#incoming.off('close', this.#onClose)
    this.#upstream.off('drain', this.#onDrain)
    this.#incoming.pause()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#progressed()
    if (!this.#send(chunk)) return
    if (this.#isBlocked || this.#retained?.isFull === true) this.#incoming.pause()
    if (this.#retained?.isFull === true) this.#waitForRefusal(this.#retained)
  }

  /** False when it was too much. */
  #send(chunk: Buffer): boolean {
    this.#taken += chunk.length
    if (this.#limit !== undefined && this.#taken > this.#limit.maxBytes) {
      this.stop()
      this.#onBroken(this.#limit.exceeded())
      return false
    }
    const isKept = this.#retained?.keep(chunk) === true
    const hasRoom = this.#upstream.write(chunk, (error) => {
      // After an error the kernel may still refer to it.
      if (!isKept && (error === undefined || error === null)) releaseChunk(chunk)
    })
    if (!hasRoom) this.#isBlocked = true
    return true
  }

  #waitForRefusal(retained: RetainedBody): void {
    this.#patience = setTimeout(() => {
      retained.letGo()
      if (!this.#isBlocked) this.#incoming.resume()
    }, retained.patienceMs)
  }

  readonly #onDrain = (): void => {
    this.#progressed()
    this.#isBlocked = false
    if (this.#retained?.isFull !== true) this.#incoming.resume()
  }

  readonly #onEnd = (): void => {
    if (this.#incoming.complete) this.#upstream.end()
  }

  readonly #onClose = (): void => {
    if (!this.#incoming.complete) this.#onBroken(new Error('client broke off its upload'))
  }
}
