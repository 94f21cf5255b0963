/** @module Workspace tokens: only their SHA-256 is stored (contract/platform 3.1). */
import { and, desc, eq, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import { unionAll } from 'drizzle-orm/pg-core'
import type { WorkspaceId } from '../domain/ids.ts'
import { arrayLiteral } from './array-types.ts'
import type { Db } from './client.ts'
import { isAnyOf, preparedQuery } from './prepared-query.ts'
import { orgApiTokens, type TokenPurpose, workspaceAuthTokens, workspaces } from './schema.ts'
import { sharedLookup } from './shared-lookup.ts'
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

/** A token that was issued here, whoever presents it now. */
export type KnownToken = {
  readonly id: string
  readonly prefix: string
  readonly lastUsedAt: Date | null
} & (
  | {
      readonly kind: 'workspace'
      readonly workspaceId: string
      readonly state: 'live' | 'revoked' | 'removed'
    }
  | { readonly kind: 'org'; readonly orgId: string | null; readonly state: 'live' | 'revoked' }
)

const knownTokensByHash = preparedQuery((db) =>
  unionAll(
    db
      .select({
        tokenHash: workspaceAuthTokens.tokenHash,
        id: workspaceAuthTokens.id,
        prefix: workspaceAuthTokens.prefix,
        lastUsedAt: workspaceAuthTokens.lastUsedAt,
        revokedAt: workspaceAuthTokens.revokedAt,
        workspaceId: sql<string | null>`${workspaces.id}`.as('workspace_id'),
        isLive: sql<boolean>`${whereLive}`.as('is_live'),
        orgId: sql<string | null>`NULL`.as('org_id'),
      })
      .from(workspaceAuthTokens)
      .innerJoin(workspaces, eq(workspaces.id, workspaceAuthTokens.workspaceId))
      .where(isAnyOf(workspaceAuthTokens.tokenHash, 'hashes')),
    db
      .select({
        tokenHash: orgApiTokens.tokenHash,
        id: orgApiTokens.id,
        prefix: orgApiTokens.prefix,
        lastUsedAt: orgApiTokens.lastUsedAt,
        revokedAt: orgApiTokens.revokedAt,
        workspaceId: sql<string | null>`NULL::uuid`.as('workspace_id'),
        isLive: sql<boolean>`true`.as('is_live'),
        orgId: sql<string | null>`${orgApiTokens.orgId}`.as('org_id'),
      })
      .from(orgApiTokens)
      .where(isAnyOf(orgApiTokens.tokenHash, 'hashes')),
  ).prepare('known_tokens_by_hash'),
)

type TokenRow = Awaited<ReturnType<ReturnType<typeof knownTokensByHash>['execute']>>[number]

/** By the hash in hexadecimal digits. */
const knownTokenByHash = sharedLookup<TokenRow>(async (db, digits) => {
  const hashes = arrayLiteral(digits.map((each) => String.raw`\x${each}`))
  const rows = await knownTokensByHash(db).execute({ hashes })
  return new Map(rows.map((row) => [row.tokenHash.toString('hex'), row]))
})

/**
 * The only token lookup, for workspaces' and for operators' alike: one statement says whose a bearer
 * is and whether it still counts. Who is refused is thereby known as well, for the audit trail.
 */
export async function findTokenByHash(db: Db, tokenHash: Buffer): Promise<KnownToken | undefined> {
  const row = await knownTokenByHash(db, tokenHash.toString('hex'))
  if (row === undefined) return undefined
  const { id, prefix, lastUsedAt, revokedAt, workspaceId, isLive, orgId } = row
  const token = { id, prefix, lastUsedAt }
  if (workspaceId === null) {
    return { ...token, kind: 'org', orgId, state: revokedAt === null ? 'live' : 'revoked' }
  }
  if (!isLive) return { ...token, kind: 'workspace', workspaceId, state: 'removed' }
  return {
    ...token,
    kind: 'workspace',
    workspaceId,
    state: revokedAt === null ? 'live' : 'revoked',
  }
}

/** Whether a workspace's or an operator's token still counts: for who was admitted a while ago. */
export async function isTokenLive(db: Db, tokenId: string): Promise<boolean> {
  const rows = await db.execute<{ live: boolean }>(sql`
    SELECT EXISTS (
      SELECT 1 FROM ${workspaceAuthTokens} JOIN ${workspaces}
          ON ${workspaces.id} = ${workspaceAuthTokens.workspaceId}
       WHERE ${workspaceAuthTokens.id} = ${tokenId} AND ${workspaceAuthTokens.revokedAt} IS NULL
         AND ${whereLive}
      UNION ALL
      SELECT 1 FROM ${orgApiTokens}
       WHERE ${orgApiTokens.id} = ${tokenId} AND ${orgApiTokens.revokedAt} IS NULL
    ) AS live`)
  return rows[0]?.live === true
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

export type WorkspaceToken = {
  readonly id: string
  readonly prefix: string
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

/** A workspace's tokens that are not revoked, newest first. */
export async function listLiveTokens(
  db: Db,
  query: { readonly workspaceId: WorkspaceId; readonly limit: number; readonly offset: number },
): Promise<WorkspaceToken[]> {
  return db
    .select({
      id: workspaceAuthTokens.id,
      prefix: workspaceAuthTokens.prefix,
      createdAt: workspaceAuthTokens.createdAt,
      lastUsedAt: workspaceAuthTokens.lastUsedAt,
    })
    .from(workspaceAuthTokens)
    .where(
      and(
        eq(workspaceAuthTokens.workspaceId, query.workspaceId),
        isNull(workspaceAuthTokens.revokedAt),
      ),
    )
    .orderBy(desc(workspaceAuthTokens.createdAt), desc(workspaceAuthTokens.id))
    .limit(query.limit)
    .offset(query.offset)
}

/** Revokes one token of this workspace; returns it, or undefined when there is no such live one. */
export async function revokeToken(
  db: Db,
  input: { readonly id: string; readonly workspaceId: WorkspaceId; readonly now: Date },
): Promise<{ readonly prefix: string; readonly purpose: TokenPurpose } | undefined> {
  const rows = await db
    .update(workspaceAuthTokens)
    .set({ revokedAt: input.now })
    .where(
      and(
        eq(workspaceAuthTokens.id, input.id),
        eq(workspaceAuthTokens.workspaceId, input.workspaceId),
        isNull(workspaceAuthTokens.revokedAt),
      ),
    )
    .returning({ prefix: workspaceAuthTokens.prefix, purpose: workspaceAuthTokens.purpose })
  return rows[0]
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
