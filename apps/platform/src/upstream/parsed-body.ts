/** @module A runtime's answer to the client, one slice at a time (design/performance 1, point 2). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { OnreadSocket } from './onread-agent.ts'

export class BodyRelay {
  readonly #source: IncomingMessage
  readonly #outgoing: ServerResponse
  #isFlushing = false
  #bytes = 0

  /** Must be built in the 'response' event itself: from then on the connection is held. */
  constructor(source: IncomingMessage, outgoing: ServerResponse) {
    this.#source = source
    this.#outgoing = outgoing
    if (source.socket instanceof OnreadSocket) {
      source.socket.holdWhile(() => this.#isFlushing || source.readableLength > 0)
    }
  }

  /** Bytes handed to the client's connection so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether it is the client that everybody is waiting for. */
  get isBlockedByClient(): boolean {
    return this.#isFlushing
  }

  /**
   * Moves the body and resolves when the last byte of it was flushed; `outgoing` is not ended.
   * The next slice is read only then: memory is one slice, and no slice is ever overwritten.
   * Rejects when either side breaks off. `progressed` is called for every slice in and out.
   */
  move(progressed: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const source = this.#source
      const moveNext = (): void => {
        if (this.#isFlushing || this.#outgoing.destroyed) return
        const chunk: Buffer | null = source.read()
        if (chunk === null) return
        progressed()
        this.#bytes += chunk.length
        this.#isFlushing = true
        this.#outgoing.write(chunk, flushed)
      }
      const flushed = (error?: Error | null): void => {
        this.#isFlushing = false
        if (error !== undefined && error !== null) {
          reject(error)
          return
        }
        progressed()
        moveNext()
        // Whoever wanted to read in the meantime was refused: nobody else asks again.
        if (!this.#isFlushing && !source.complete) source.socket.resume()
      }
      source.on('readable', moveNext)
      source.once('end', resolve)
      source.once('error', reject)
      this.#outgoing.once('error', reject)
    })
  }
}
