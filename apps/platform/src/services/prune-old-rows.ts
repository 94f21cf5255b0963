/** @module Logs do not grow for ever: what is older than their retention goes, batch by batch. */
import type { Clock } from '@atrium/http-kit/clock'
import type { OldRows } from '../db/delete-old-rows.ts'

const DAY_MS = 24 * 60 * 60 * 1000

export type Retention = {
  readonly days: number
  /** Small enough that no row stays locked for long. */
  readonly batch: number
  /** Ends the pass after the batch in progress; the next one goes on. */
  readonly signal: AbortSignal
}

/** One pass, safe on every replica at once. Resolves with how many rows went. */
export async function pruneOldRows(
  clock: Clock,
  { days, batch, signal }: Retention,
  deleteBatch: (old: OldRows) => Promise<number>,
): Promise<{ readonly deleted: number }> {
  const before = new Date(clock.now().getTime() - days * DAY_MS)
  let deleted = 0
  while (!signal.aborted) {
    const count = await deleteBatch({ before, limit: batch })
    deleted += count
    if (count < batch) break
  }
  return { deleted }
}
