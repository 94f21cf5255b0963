/**
 * @module Bytes of an opened file to a client: positional reads into pooled buffers, the next read
 * overlapping the write (design/performance 1). At most two buffers are held, however large the
 * file or slow the client.
 */
import type { ServerResponse } from 'node:http'
import { assertUnchanged } from './assert-unchanged.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { ByteRange } from './byte-range.ts'
import { readAt } from './descriptor.ts'
import { IdleDeadline } from './idle-deadline.ts'
import type { OpenedFile } from './open-contained-file.ts'

export type Sending = {
  readonly file: OpenedFile
  /** Its head has been written, with exactly the length of `range`. */
  readonly outgoing: ServerResponse
  readonly range: ByteRange
  readonly buffers: BufferPool
  readonly idleTimeoutMs: number
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal
  /** What goes out in place of the bytes as they are; then the head says the length of this. */
  readonly form?: SentForm
}

export type SentForm = {
  /** Every piece but the last has exactly so many bytes of the file; no more than 64 KiB. */
  readonly pieceBytes: number
  encode(piece: Buffer): Buffer
  /** Follows the last piece. */
  readonly end: string
}

/**
 * Sends exactly the range and ends the response. Rejects, with the response not ended, when the
 * client is gone or silent for too long, and when the file is not the one any more whose head was
 * sent: the caller destroys the connection, so that nobody takes a short or mixed body for whole.
 * Leaves the file open.
 */
export async function sendFile(sending: Sending): Promise<void> {
  const { outgoing, buffers, signal } = sending
  const broken = Promise.withResolvers<never>()
  // Nobody may be waiting for it at the moment it rejects.
  broken.promise.catch(() => undefined)
  const onGone = (): void => broken.reject(signal.reason)
  const idle = new IdleDeadline(sending.idleTimeoutMs, () =>
    broken.reject(new Error('the client stopped reading')),
  )
  signal.addEventListener('abort', onGone)
  const pair = [buffers.take(), buffers.take()] as const
  try {
    signal.throwIfAborted()
    await pump(sending, pair, { broken: broken.promise, idle })
    for (const buffer of pair) buffers.give(buffer)
  } catch (error) {
    // A socket that is being torn down may still refer to them.
    for (const buffer of pair) buffers.forget(buffer)
    throw error
  } finally {
    signal.removeEventListener('abort', onGone)
    idle.stop()
  }
  outgoing.end(sending.form?.end)
}

type Watch = { readonly broken: Promise<never>; readonly idle: IdleDeadline }

async function pump(
  sending: Sending,
  [even, odd]: readonly [Buffer, Buffer],
  watch: Watch,
): Promise<void> {
  const { range } = sending
  let position = range.first
  let [current, other] = [even, odd]
  let length = await fill(sending, current, position)
  let written: Promise<void> = Promise.resolve()
  for (;;) {
    position += length
    const isLast = position > range.last
    // The end of a body says that it is whole, so it is held back until that is known.
    if (isLast) assertUnchanged(sending.file)
    const piece = current.subarray(0, length)
    const writing = write(sending.outgoing, sending.form?.encode(piece) ?? piece, watch)
    // `other` is free once its own write was flushed; then it is filled while `current` is written.
    await Promise.race([written, watch.broken])
    if (isLast) return Promise.race([writing, watch.broken])
    written = writing
    ;[current, other] = [other, current]
    length = await fill(sending, current, position)
  }
}

/** Fills the buffer as far as the range goes. */
async function fill(sending: Sending, buffer: Buffer, position: number): Promise<number> {
  const most = sending.form?.pieceBytes ?? buffer.length
  const wanted = Math.min(most, sending.range.last + 1 - position)
  const length = await readAt(sending.file.fd, buffer.subarray(0, wanted), position)
  if (length < wanted) throw new Error('the file shrank while it was sent')
  return length
}

/** Resolves when the kernel has taken the bytes, so that their buffer may be written to again. */
function write(outgoing: ServerResponse, bytes: Buffer, { idle }: Watch): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  // Observed by a race later, or by nobody when the connection broke before.
  promise.catch(() => undefined)
  outgoing.write(bytes, (error) => {
    idle.progress()
    if (error == null) resolve()
    else reject(error)
  })
  return promise
}
