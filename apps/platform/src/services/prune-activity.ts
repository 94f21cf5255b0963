/** @module The activity log does not grow for ever (contract/platform 5.4). */
import type { Clock } from '@atrium/http-kit/clock'
import { deleteCursorsBefore } from '../db/activity-cursor-store.ts'
import { deleteActivityBefore } from '../db/activity-store.ts'
import type { Db } from '../db/client.ts'
import { pruneOldRows } from './prune-old-rows.ts'

const BATCH = 2_000
const DAY_MS = 24 * 60 * 60 * 1000
/** So long after its last move a cursor is forgotten, and never while a row of then is there. */
const CURSOR_DAYS = 90

/** One pass. A cursor that goes with its row answers 410 from then on. */
export async function pruneActivity(
  deps: { readonly db: Db; readonly clock: Clock; readonly activityRetentionDays: number },
  signal: AbortSignal,
): Promise<{ readonly deleted: number }> {
  const { db, clock, activityRetentionDays: days } = deps
  const pruned = await pruneOldRows(clock, { days, batch: BATCH, signal }, (old) =>
    deleteActivityBefore(db, old),
  )
  const cursorDays = Math.max(CURSOR_DAYS, days)
  await deleteCursorsBefore(db, new Date(clock.now().getTime() - cursorDays * DAY_MS))
  return pruned
}
