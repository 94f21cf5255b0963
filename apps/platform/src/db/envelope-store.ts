/** @module Every sealed secret of the database, wherever it lies, for those who seal them anew. */
import { and, eq, sql } from 'drizzle-orm'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { workspaceJobControl, workspaceSecrets, workspaces } from './schema.ts'

/** Where an envelope lies. `key` names a workspace's own secret and is empty for the others. */
export type EnvelopePlace = {
  readonly workspaceId: WorkspaceId
  readonly slot: 'current' | 'env' | 'job-control' | 'previous'
  readonly key: string
}

export type StoredEnvelope = EnvelopePlace & { readonly envelope: string }

// Removed workspaces too: as long as their rows are there, a key that opens them is needed.
const everyEnvelope = sql`
  SELECT id AS workspace_id, 'current' AS slot, '' AS key, inbound_secret_current AS envelope
    FROM workspaces
  UNION ALL
  SELECT id, 'previous', '', inbound_secret_previous FROM workspaces
  UNION ALL
  SELECT workspace_id, 'env', key, encrypted_value FROM workspace_secrets
  UNION ALL
  SELECT workspace_id, 'job-control', '', encrypted_token FROM workspace_job_control`

const whereStale = (currentKeyId: string) =>
  sql`envelope IS NOT NULL AND split_part(envelope, '.', 2) <> ${currentKeyId}`

/** At most `limit` envelopes under other keys than the current one, in the order of their places. */
export async function listStaleEnvelopes(
  db: Db,
  query: {
    readonly currentKeyId: string
    readonly after: EnvelopePlace | undefined
    readonly limit: number
  },
): Promise<StoredEnvelope[]> {
  const { after } = query
  const isAfter =
    after === undefined
      ? sql`true`
      : sql`(workspace_id, slot, key) > (${after.workspaceId}::uuid, ${after.slot}, ${after.key})`
  const rows = await db.execute<{
    workspace_id: string
    slot: EnvelopePlace['slot']
    key: string
    envelope: string
  }>(sql`
    SELECT workspace_id, slot, key, envelope FROM (${everyEnvelope}) AS stored
     WHERE ${whereStale(query.currentKeyId)} AND ${isAfter}
     ORDER BY workspace_id, slot, key LIMIT ${query.limit}`)
  return rows.map(({ workspace_id, ...rest }) => ({
    ...rest,
    workspaceId: workspaceIdSchema.parse(workspace_id),
  }))
}

export async function countStaleEnvelopes(db: Db, currentKeyId: string): Promise<number> {
  const rows = await db.execute<{ count: number }>(sql`
    SELECT count(*)::int AS count FROM (${everyEnvelope}) AS stored
     WHERE ${whereStale(currentKeyId)}`)
  return rows[0]?.count ?? 0
}

/** Puts `sealed` in the place of an envelope that is still there; false when it is not. */
export async function replaceEnvelope(
  db: Db,
  stored: StoredEnvelope,
  sealed: string,
): Promise<boolean> {
  if (stored.slot === 'env') return replaceOwnSecret(db, stored, sealed)
  if (stored.slot === 'job-control') return replaceJobControlToken(db, stored, sealed)
  const isCurrent = stored.slot === 'current'
  const column = isCurrent ? workspaces.inboundSecretCurrent : workspaces.inboundSecretPrevious
  const rows = await db
    .update(workspaces)
    .set(isCurrent ? { inboundSecretCurrent: sealed } : { inboundSecretPrevious: sealed })
    .where(and(eq(workspaces.id, stored.workspaceId), eq(column, stored.envelope)))
    .returning({ id: workspaces.id })
  return rows.length === 1
}

async function replaceOwnSecret(
  db: Db,
  { workspaceId, key, envelope }: StoredEnvelope,
  sealed: string,
): Promise<boolean> {
  const rows = await db
    .update(workspaceSecrets)
    .set({ encryptedValue: sealed })
    .where(
      and(
        eq(workspaceSecrets.workspaceId, workspaceId),
        eq(workspaceSecrets.key, key),
        eq(workspaceSecrets.encryptedValue, envelope),
      ),
    )
    .returning({ key: workspaceSecrets.key })
  return rows.length === 1
}

async function replaceJobControlToken(
  db: Db,
  { workspaceId, envelope }: StoredEnvelope,
  sealed: string,
): Promise<boolean> {
  const { workspaceId: owner, encryptedToken } = workspaceJobControl
  const rows = await db
    .update(workspaceJobControl)
    .set({ encryptedToken: sealed })
    .where(and(eq(owner, workspaceId), eq(encryptedToken, envelope)))
    .returning({ workspaceId: owner })
  return rows.length === 1
}
