/** @module The activity log does not grow for ever (contract/platform 5.4). */
import type { Clock } from '@atrium/http-kit/clock'
import { deleteActivityBefore } from '../db/activity-store.ts'
import type { Db } from '../db/client.ts'

/** Small enough that no row of a workspace stays locked for long. */
const BATCH = 2_000
const DAY_MS = 24 * 60 * 60 * 1000

/**
 * One pass: deletes rows older than the retention, batch by batch, and resolves with how many. Safe
 * on every replica at once. A cursor that goes with its row answers 410 from then on.
 */
export async function pruneActivity(
  deps: { readonly db: Db; readonly clock: Clock; readonly activityRetentionDays: number },
  signal: AbortSignal,
): Promise<{ readonly deleted: number }> {
  const before = new Date(deps.clock.now().getTime() - deps.activityRetentionDays * DAY_MS)
  let deleted = 0
  while (!signal.aborted) {
    const count = await deleteActivityBefore(deps.db, { before, limit: BATCH })
    deleted += count
    if (count < BATCH) break
  }
  return { deleted }
}
