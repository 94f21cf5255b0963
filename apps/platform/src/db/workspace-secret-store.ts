/** @module The workspace's own environment secrets, as envelopes. */
import { asc, eq } from 'drizzle-orm'
import type { WorkspaceId } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { workspaceSecrets } from './schema.ts'

export async function insertWorkspaceSecret(
  db: Db,
  secret: {
    readonly workspaceId: WorkspaceId
    readonly key: string
    readonly envelope: string
    readonly now: Date
  },
): Promise<void> {
  await db.insert(workspaceSecrets).values({
    workspaceId: secret.workspaceId,
    key: secret.key,
    encryptedValue: secret.envelope,
    createdAt: secret.now,
    updatedAt: secret.now,
  })
}

export async function listWorkspaceSecrets(
  db: Db,
  workspaceId: WorkspaceId,
): Promise<{ readonly key: string; readonly envelope: string }[]> {
  return db
    .select({ key: workspaceSecrets.key, envelope: workspaceSecrets.encryptedValue })
    .from(workspaceSecrets)
    .where(eq(workspaceSecrets.workspaceId, workspaceId))
    .orderBy(asc(workspaceSecrets.key))
}
