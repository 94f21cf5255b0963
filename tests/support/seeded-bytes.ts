/** @module Bytes without end that can be made again: the same seed gives the same bytes. */
import { createCipheriv, createHash } from 'node:crypto'

const PIECE_BYTES = 256 * 1024
const ZEROS = Buffer.alloc(PIECE_BYTES)

/** `size` bytes in pieces, made on the way and never held. Nothing compresses them. */
export function* seededBytes(seed: string, size: number): Generator<Buffer, void, undefined> {
  const key = createHash('sha256').update(seed).digest()
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  for (let left = size; left > 0; left -= PIECE_BYTES) {
    yield stream.update(left < PIECE_BYTES ? ZEROS.subarray(0, left) : ZEROS)
  }
}

/** SHA-256 of `seededBytes(seed, size)` in lower-case hex. */
export function seededDigest(seed: string, size: number): string {
  const hash = createHash('sha256')
  for (const piece of seededBytes(seed, size)) hash.update(piece)
  return hash.digest('hex')
}
