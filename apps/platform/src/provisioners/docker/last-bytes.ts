/** @module The end of a stream, in bounded memory. */

export class LastBytes {
  readonly #maxBytes: number
  #pieces: Buffer[] = []
  #length = 0

  constructor(maxBytes: number) {
    this.#maxBytes = Math.max(0, Math.floor(maxBytes))
  }

  add(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#length += piece.length
    // Joined only now and then: at most twice the limit is held.
    if (this.#length > 2 * this.#maxBytes + 64 * 1024) this.#pieces = [this.take()]
  }

  /** At most the last `maxBytes` of what was added. */
  take(): Buffer {
    const all = Buffer.concat(this.#pieces)
    const last = Buffer.from(all.subarray(Math.max(0, all.length - this.#maxBytes)))
    this.#pieces = [last]
    this.#length = last.length
    return last
  }
}
