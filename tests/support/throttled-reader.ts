/** @module A client that takes its answer slowly, and checks what it gets. */
import { createHash, type Hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export class ThrottledReader {
  readonly #pieces: AsyncIterator<Buffer>
  readonly #hash: Hash = createHash('sha256')
  #bytes = 0

  constructor(response: IncomingMessage) {
    this.#pieces = response[Symbol.asyncIterator]()
  }

  /** Bytes taken so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** SHA-256 of the bytes taken so far, in lower-case hex. */
  digest(): string {
    return this.#hash.copy().digest('hex')
  }

  /** Reads for `durationMs`, never faster than `bytesPerSecond`. Throws when the answer ends first. */
  async readSlowly(bytesPerSecond: number, durationMs: number): Promise<void> {
    const startedAt = performance.now()
    const startBytes = this.#bytes
    for (;;) {
      const dueMs = ((this.#bytes - startBytes) / bytesPerSecond) * 1000
      const elapsedMs = performance.now() - startedAt
      if (elapsedMs >= durationMs) return
      if (dueMs > elapsedMs) await delay(Math.min(dueMs, durationMs) - elapsedMs)
      else if (!(await this.#take())) throw new Error(`the answer ended after ${this.#bytes} bytes`)
    }
  }

  /** Reads on until there is nothing more. Throws when the connection breaks. */
  async readRest(): Promise<void> {
    while (await this.#take());
  }

  async #take(): Promise<boolean> {
    const { done, value } = await this.#pieces.next()
    if (done === true) return false
    this.#hash.update(value)
    this.#bytes += value.length
    return true
  }
}
