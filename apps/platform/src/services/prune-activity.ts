/** @module The activity log does not grow for ever (contract/platform 5.4). */
import type { Clock } from '@atrium/http-kit/clock'
import { deleteActivityBefore } from '../db/activity-store.ts'
import type { Db } from '../db/client.ts'
import { pruneOldRows } from './prune-old-rows.ts'

const BATCH = 2_000

/** One pass. A cursor that goes with its row answers 410 from then on. */
export async function pruneActivity(
  deps: { readonly db: Db; readonly clock: Clock; readonly activityRetentionDays: number },
  signal: AbortSignal,
): Promise<{ readonly deleted: number }> {
  const retention = { days: deps.activityRetentionDays, batch: BATCH, signal }
  return pruneOldRows(deps.clock, retention, (old) => deleteActivityBefore(deps.db, old))
}
