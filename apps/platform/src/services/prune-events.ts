/** @module Events do not stay for ever (wart W34). */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../db/client.ts'
import { placeWaitingEvents, purgeEvents } from '../db/event-store.ts'

const BATCH = 2_000
/** A pass ends after so many and leaves the rest to the next one. */
const MAX_BATCHES = 50
const DAY_MS = 24 * 60 * 60 * 1000

/**
 * One pass: deletes events older than the retention, oldest first, and resolves with how many. Safe
 * on every replica at once. Who resumes after one that is gone is told to begin anew.
 */
export async function pruneEvents(deps: {
  readonly db: Db
  readonly clock: Clock
  readonly eventRetentionDays: number
}): Promise<{ readonly deleted: number }> {
  const before = new Date(deps.clock.now().getTime() - deps.eventRetentionDays * DAY_MS)
  await placeWaitingEvents(deps.db)
  let deleted = 0
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    const count = await purgeEvents(deps.db, { before, limit: BATCH })
    deleted += count
    if (count < BATCH) break
  }
  return { deleted }
}
