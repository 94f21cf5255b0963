/** @module Events do not stay for ever (wart W34). */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../db/client.ts'
import { placeWaitingEvents, purgeEvents } from '../db/event-store.ts'
import { pruneOldRows } from './prune-old-rows.ts'

const BATCH = 2_000

/** One pass, oldest first. Who resumes after an event that is gone is told to begin anew. */
export async function pruneEvents(
  deps: { readonly db: Db; readonly clock: Clock; readonly eventRetentionDays: number },
  signal: AbortSignal,
): Promise<{ readonly deleted: number }> {
  await placeWaitingEvents(deps.db)
  const retention = { days: deps.eventRetentionDays, batch: BATCH, signal }
  return pruneOldRows(deps.clock, retention, (old) => purgeEvents(deps.db, old))
}
