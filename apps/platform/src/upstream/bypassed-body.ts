/** @module An answer of known length to the client, straight out of the read buffer. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AppError } from '@atrium/http-kit/app-error'
import type { BodyRelay } from './body-relay.ts'
import type { OnreadSocket } from './onread-agent.ts'

export class BypassedBody implements BodyRelay {
  readonly #source: IncomingMessage
  readonly #socket: OnreadSocket
  readonly #outgoing: ServerResponse
  readonly #done = Promise.withResolvers<void>()
  #progressed: (() => void) | undefined
  /** Still to arrive. */
  #missing: number
  /** Arrived and not yet written; the connection is held as long as there is one. */
  #waiting: Buffer | undefined
  #isFlushing = false
  #bytes = 0

  constructor(route: {
    readonly source: IncomingMessage
    readonly socket: OnreadSocket
    readonly outgoing: ServerResponse
    readonly length: number
  }) {
    this.#source = route.source
    this.#socket = route.socket
    this.#outgoing = route.outgoing
    this.#missing = route.length
    route.socket.holdWhile(() => this.#isFlushing || this.#waiting !== undefined)
    route.socket.divert(this.#onSlice)
  }

  get bytes(): number {
    return this.#bytes
  }

  get isBlockedByClient(): boolean {
    return this.#isFlushing
  }

  get isComplete(): boolean {
    return this.#missing === 0
  }

  async move(progressed: () => void): Promise<void> {
    this.#progressed = progressed
    this.#outgoing.once('error', this.#done.reject)
    this.#socket.once('close', this.#onClose)
    this.#source.once('end', this.#onEnd)
    this.#writeNext()
    try {
      await this.#done.promise
    } finally {
      this.#socket.off('close', this.#onClose)
    }
  }

  readonly #onSlice = (slice: Buffer): void => {
    this.#waiting = slice
    this.#missing -= slice.length
    this.#writeNext()
  }

  #writeNext(): void {
    if (this.#progressed === undefined || this.#outgoing.destroyed) return
    const slice = this.#waiting
    if (this.#missing < 0) {
      this.#fail('more bytes than it declared')
    } else if (slice !== undefined) {
      this.#waiting = undefined
      this.#isFlushing = true
      this.#progressed()
      this.#bytes += slice.length
      this.#outgoing.write(slice, this.#onFlushed)
    } else if (this.#missing === 0) {
      // Nothing is in there but the end, which Node holds back until somebody wants it.
      this.#source.resume()
    }
  }

  readonly #onFlushed = (error?: Error | null): void => {
    this.#isFlushing = false
    if (error !== undefined && error !== null) {
      this.#done.reject(error)
      return
    }
    this.#progressed?.()
    this.#writeNext()
    // Whoever wanted to read in the meantime was refused: nobody else asks again.
    if (this.#missing > 0) this.#socket.resume()
  }

  /** Node ends its empty message on a broken connection as well; only ours says what arrived. */
  readonly #onEnd = (): void => {
    if (this.#missing === 0 && !this.#isFlushing) this.#done.resolve()
    else this.#onClose()
  }

  readonly #onClose = (): void => {
    if (this.#missing > 0) this.#fail('closed within its answer')
  }

  #fail(internal: string): void {
    this.#done.reject(new AppError('workspace_invalid_response', { internal }))
  }
}
