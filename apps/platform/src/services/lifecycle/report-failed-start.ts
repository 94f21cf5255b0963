/** @module A control plane says that a machine never came up (contract/platform 7.9). */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../../db/client.ts'
import { requestRun } from '../../db/lifecycle-run-store.ts'
import { lockLiveWorkspace, transitionWorkspace } from '../../db/workspace-store.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { provisionFailed } from '../../domain/workspace-events.ts'

export type FailedStart = {
  /** What the control plane says; hostile text, already cut. */
  readonly error: string
  readonly logTail: string
}

/** Marks a start in progress failed and ends its box; false when nothing is being started. */
export async function reportFailedStart(
  deps: { readonly db: Db; readonly clock: Clock },
  id: WorkspaceId,
  report: FailedStart,
): Promise<boolean> {
  return deps.db.transaction(async (tx) => {
    const now = deps.clock.now()
    const row = await lockLiveWorkspace(tx, id)
    const reason = report.error === '' ? 'its machine did not come up' : report.error
    const moved = await transitionWorkspace(tx, {
      id,
      to: 'failed',
      from: ['provisioning'],
      now,
      set: { statusReason: reason, lastSampleError: reason, endpointUrl: null },
      event: provisionFailed({ error: reason, logTail: report.logTail }),
    })
    if (moved === undefined || row === undefined) return false
    await requestRun(tx, { workspaceId: id, hostId: row.hostId, reason: 'start failed', now })
    return true
  })
}
