/** @module An agent's answer to the client: held back by a slow one, and not for ever by a still one. */
import { once } from 'node:events'
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'

/** What is in memory of an answer besides its source, as Node counts it. */
const PIECE_BYTES = 64 * 1024

/**
 * Writes every piece and ends the answer, whose head has been written. Throws when the client has
 * left or takes nothing for `stallMs` milliseconds, and whatever `pieces` throws: never a clean end.
 */
export async function writeAnswer(
  { outgoing, signal }: RawExchange,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  stallMs: number,
): Promise<void> {
  const stalled = new AbortController()
  const given = { signal: AbortSignal.any([signal, stalled.signal]) }
  const untilTaken = async (event: 'drain' | 'finish'): Promise<void> => {
    // Not `AbortSignal.timeout`, which stays until its time has come: a fast answer waits for
    // thousands of drains a second.
    const timer = setTimeout(() => stalled.abort(new Error('client took no bytes')), stallMs)
    try {
      await once(outgoing, event, given)
    } finally {
      clearTimeout(timer)
    }
  }
  for await (const piece of pieces) {
    signal.throwIfAborted()
    if (!outgoing.write(piece)) await untilTaken('drain')
  }
  const finished = untilTaken('finish')
  outgoing.end()
  await finished
}

/** A whole body in pieces, so that a slow client shows that it takes them. */
export function* piecesOf(body: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < body.length; at += PIECE_BYTES) yield body.subarray(at, at + PIECE_BYTES)
}
