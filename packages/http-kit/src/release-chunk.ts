/**
 * @module Giving a body's memory back at once. Node's HTTP parser copies every piece of a body into
 * an `ArrayBuffer` of its own; left to the collector these cost more time than moving the bytes
 * does (a full collection for every 40 MiB), and tens of MiB of memory (docs/performance.md).
 */

/** Below this a buffer may belong to somebody's bookkeeping, and is not worth the call. */
const MIN_BYTES = 16 * 1024

/**
 * Frees the memory of a piece of a request or response body; `chunk` is empty afterwards. Only for
 * who got it from a stream and is its last user: after a write's callback that told no error. A
 * piece that shares its memory with others is left alone.
 */
export function releaseChunk(chunk: Buffer): void {
  const { buffer } = chunk
  if (chunk.length < MIN_BYTES || chunk.length !== buffer.byteLength) return
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}
