/** @module What operators do to the queues of all workspaces (contract/platform 4.7). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Db } from '../../db/client.ts'
import { isDatabaseUnavailable, loggableDatabaseError } from '../../db/db-error.ts'
import { dropStale } from '../../db/delivery-queue-writes.ts'
import { countDeliveries } from '../../db/delivery-store.ts'
import type { WorkspaceId } from '../../domain/ids.ts'

/** Rows that one statement locks. */
const BATCH = 500

/** How many were dropped. Throws `drop_stale_failed`, `platform_unavailable`. */
export async function dropStaleDeliveries(
  deps: { readonly db: Db },
  stale: { readonly maxAgeMinutes: number; readonly workspaceId: WorkspaceId | undefined },
): Promise<number> {
  try {
    const ageMs = stale.maxAgeMinutes * 60_000
    let dropped = 0
    for (let last = BATCH; last === BATCH; dropped += last) {
      last = (await dropStale(deps.db, { ageMs, workspaceId: stale.workspaceId }, BATCH)).length
    }
    return dropped
  } catch (error) {
    const code = isDatabaseUnavailable(error) ? 'platform_unavailable' : 'drop_stale_failed'
    throw new AppError(code, { cause: loggableDatabaseError(error) })
  }
}

/** How many are in which state, and the oldest of them. */
export function countQueue(
  deps: { readonly db: Db },
  workspaceId: WorkspaceId | undefined,
): ReturnType<typeof countDeliveries> {
  return countDeliveries(deps.db, workspaceId)
}
