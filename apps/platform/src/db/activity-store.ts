/** @module The activity log: what happened to a workspace, in commit order (design/architecture 6). */
import { eq, sql } from 'drizzle-orm'
import type { WorkspaceId } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { activityLogs, workspaces } from './schema.ts'

export type NewActivity = {
  readonly id: string
  readonly workspaceId: WorkspaceId
  readonly activityType: 'a2a_send' | 'a2a_receive' | 'agent_log' | 'error'
  readonly sourceId: string | null
  readonly targetId: string | null
  readonly method: string | null
  readonly summary: string
  readonly requestBody: unknown
  readonly responseBody: unknown
  readonly durationMs: number
  readonly status: 'ok' | 'error'
  readonly errorDetail: string | null
  readonly createdAt: Date
}

/**
 * Appends a row with the workspace's next sequence number. The number is taken by updating the
 * workspace's row, whose lock is held until commit: commit order is sequence order.
 * Returns false when the workspace does not exist any more.
 */
export async function appendActivity(db: Db, activity: NewActivity): Promise<boolean> {
  return db.transaction(async (tx) => {
    const taken = await tx
      .update(workspaces)
      .set({ activitySeq: sql`${workspaces.activitySeq} + 1` })
      .where(eq(workspaces.id, activity.workspaceId))
      .returning({ seq: workspaces.activitySeq })
    const seq = taken[0]?.seq
    if (seq === undefined) return false
    await tx.insert(activityLogs).values({ ...activity, seq })
    return true
  })
}
