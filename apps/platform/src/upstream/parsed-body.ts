/** @module An answer to the client by way of Node's parser: chunked bodies, and any body over TLS. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BodyRelay } from './body-relay.ts'
import { OnreadSocket } from './onread-agent.ts'

export class ParsedBody implements BodyRelay {
  readonly #source: IncomingMessage
  readonly #outgoing: ServerResponse
  #isFlushing = false
  #bytes = 0

  constructor(source: IncomingMessage, outgoing: ServerResponse) {
    this.#source = source
    this.#outgoing = outgoing
    const { socket } = source
    if (!(socket instanceof OnreadSocket)) return
    socket.feedParser()
    socket.holdWhile(() => this.#isFlushing || source.readableLength > 0)
  }

  get bytes(): number {
    return this.#bytes
  }

  get isBlockedByClient(): boolean {
    return this.#isFlushing
  }

  get isComplete(): boolean {
    return this.#source.complete
  }

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
