/** @module Workspace tokens: only their SHA-256 is stored (contract/platform 3.1). */
import { and, desc, eq, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import type { WorkspaceId } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { preparedQuery } from './prepared-query.ts'
import { type TokenPurpose, workspaceAuthTokens, workspaces } from './schema.ts'
import { whereLive } from './workspace-store.ts'

export async function insertToken(
  db: Db,
  token: {
    readonly id: string
    readonly workspaceId: WorkspaceId
    readonly tokenHash: Buffer
    readonly prefix: string
    readonly purpose: TokenPurpose
    readonly now: Date
  },
): Promise<void> {
  await db.insert(workspaceAuthTokens).values({
    id: token.id,
    workspaceId: token.workspaceId,
    tokenHash: token.tokenHash,
    prefix: token.prefix,
    purpose: token.purpose,
    createdAt: token.now,
  })
}

export type LiveToken = {
  readonly id: string
  readonly workspaceId: string
  readonly lastUsedAt: Date | null
}

const liveTokenByHash = preparedQuery((db) =>
  db
    .select({
      id: workspaceAuthTokens.id,
      workspaceId: workspaceAuthTokens.workspaceId,
      lastUsedAt: workspaceAuthTokens.lastUsedAt,
    })
    .from(workspaceAuthTokens)
    .innerJoin(workspaces, eq(workspaces.id, workspaceAuthTokens.workspaceId))
    .where(
      and(
        eq(workspaceAuthTokens.tokenHash, sql.placeholder('tokenHash')),
        isNull(workspaceAuthTokens.revokedAt),
        whereLive,
      ),
    )
    .prepare('live_token_by_hash'),
)

/** The only token lookup: live token of a live workspace, by hash. */
export async function findTokenByHash(db: Db, tokenHash: Buffer): Promise<LiveToken | undefined> {
  const rows = await liveTokenByHash(db).execute({ tokenHash })
  return rows[0]
}

/**
 * Notes a use at most once per `resolutionMs`: reads do not become writes (wart W17), and of many
 * at once one does.
 */
export async function touchToken(
  db: Db,
  input: { readonly id: string; readonly now: Date; readonly resolutionMs: number },
): Promise<void> {
  const before = new Date(input.now.getTime() - input.resolutionMs)
  await db
    .update(workspaceAuthTokens)
    .set({ lastUsedAt: input.now })
    .where(
      and(
        eq(workspaceAuthTokens.id, input.id),
        or(isNull(workspaceAuthTokens.lastUsedAt), lt(workspaceAuthTokens.lastUsedAt, before)),
      ),
    )
}

export async function countLiveTokens(db: Db, workspaceId: WorkspaceId): Promise<number> {
  const rows = await db
    .select({ count: sql<number>`count(*)::int` })
    .from(workspaceAuthTokens)
    .where(
      and(eq(workspaceAuthTokens.workspaceId, workspaceId), isNull(workspaceAuthTokens.revokedAt)),
    )
  return rows[0]?.count ?? 0
}

/** Revokes all but the `keep` newest live test tokens of a workspace; returns how many. */
export async function revokeOldestTestTokens(
  db: Db,
  input: { readonly workspaceId: WorkspaceId; readonly keep: number; readonly now: Date },
): Promise<number> {
  const mine = and(
    eq(workspaceAuthTokens.workspaceId, input.workspaceId),
    eq(workspaceAuthTokens.purpose, 'test'),
    isNull(workspaceAuthTokens.revokedAt),
  )
  const surplus = db
    .select({ id: workspaceAuthTokens.id })
    .from(workspaceAuthTokens)
    .where(mine)
    .orderBy(desc(workspaceAuthTokens.createdAt), desc(workspaceAuthTokens.id))
    .offset(input.keep)
  const rows = await db
    .update(workspaceAuthTokens)
    .set({ revokedAt: input.now })
    .where(and(mine, inArray(workspaceAuthTokens.id, surplus)))
    .returning({ id: workspaceAuthTokens.id })
  return rows.length
}

/** Revokes every live token of a workspace; returns how many. */
export async function revokeAllTokens(
  db: Db,
  input: { readonly workspaceId: WorkspaceId; readonly now: Date },
): Promise<number> {
  const rows = await db
    .update(workspaceAuthTokens)
    .set({ revokedAt: input.now })
    .where(
      and(
        eq(workspaceAuthTokens.workspaceId, input.workspaceId),
        isNull(workspaceAuthTokens.revokedAt),
      ),
    )
    .returning({ id: workspaceAuthTokens.id })
  return rows.length
}
