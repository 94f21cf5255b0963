/** @module The job-control hosts of workspaces, at most one each; the token is an envelope. */
import { eq } from 'drizzle-orm'
import type { WorkspaceId } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { workspaceJobControl } from './schema.ts'

export type JobControlRow = typeof workspaceJobControl.$inferSelect

export async function findJobControlRow(
  db: Db,
  workspaceId: WorkspaceId,
): Promise<JobControlRow | undefined> {
  const rows = await db
    .select()
    .from(workspaceJobControl)
    .where(eq(workspaceJobControl.workspaceId, workspaceId))
  return rows[0]
}

/** Makes it or replaces it whole. */
export async function saveJobControl(
  db: Db,
  input: {
    readonly workspaceId: WorkspaceId
    readonly url: string
    readonly envelope: string
    readonly now: Date
  },
): Promise<JobControlRow> {
  const { workspaceId, url, envelope: encryptedToken, now: updatedAt } = input
  const [row] = await db
    .insert(workspaceJobControl)
    .values({ workspaceId, url, encryptedToken, createdAt: updatedAt, updatedAt })
    .onConflictDoUpdate({
      target: workspaceJobControl.workspaceId,
      set: { url, encryptedToken, updatedAt },
    })
    .returning()
  if (row === undefined) throw new Error('an upsert has given no row')
  return row
}

/** False when there was none. */
export async function deleteJobControl(db: Db, workspaceId: WorkspaceId): Promise<boolean> {
  const rows = await db
    .delete(workspaceJobControl)
    .where(eq(workspaceJobControl.workspaceId, workspaceId))
    .returning({ workspaceId: workspaceJobControl.workspaceId })
  return rows.length === 1
}
