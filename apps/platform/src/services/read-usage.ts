/** @module What a workspace's answers have cost, for its operators and itself (contract/platform 1.5). */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../db/client.ts'
import { type DailyUsage, listUsage } from '../db/usage-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { getWorkspace } from './find-workspace.ts'

export type ReadUsageDeps = { readonly db: Db; readonly clock: Clock }

const DAY_MS = 86_400_000

/** The last `days` days with today, in UTC; latest first. Throws `workspace_not_found`. */
export async function readUsage(
  { db, clock }: ReadUsageDeps,
  { workspaceId, days }: { readonly workspaceId: WorkspaceId; readonly days: number },
): Promise<readonly DailyUsage[]> {
  await getWorkspace(db, workspaceId)
  const first = new Date(clock.now().getTime() - (days - 1) * DAY_MS)
  return await listUsage(db, { workspaceId, since: first.toISOString().slice(0, 10) })
}
