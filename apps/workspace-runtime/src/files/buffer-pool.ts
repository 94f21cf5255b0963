/** @module Read buffers that are used again: a fresh 512 KiB per read costs more than the read. */

const BUFFER_BYTES = 512 * 1024
/** Above this many large buffers in use, further transfers take small ones: memory stays bounded. */
const MAX_LARGE_BUFFERS = 64
const SMALL_BUFFER_BYTES = 64 * 1024
/** Kept for the next transfer; the rest goes back to the allocator. */
const MAX_IDLE_BUFFERS = 16

/** Buffers of 512 KiB (design/performance 1), 64 KiB when very many slow readers hold theirs. */
export class BufferPool {
  readonly #idle: Buffer[] = []
  #largeInUse = 0

  /** A buffer with arbitrary content; `give` it back or `forget` it exactly once. */
  take(): Buffer {
    if (this.#largeInUse >= MAX_LARGE_BUFFERS) return Buffer.allocUnsafeSlow(SMALL_BUFFER_BYTES)
    this.#largeInUse += 1
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
  }

  /** Only a buffer that nobody reads from or writes to any more. */
  give(buffer: Buffer): void {
    this.forget(buffer)
    if (buffer.length === BUFFER_BYTES && this.#idle.length < MAX_IDLE_BUFFERS) {
      this.#idle.push(buffer)
    }
  }

  /** For a buffer that a broken connection may still refer to: it is never used again. */
  forget(buffer: Buffer): void {
    if (buffer.length === BUFFER_BYTES) this.#largeInUse -= 1
  }
}
