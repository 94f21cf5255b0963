/** @module Operators' tokens for the whole organisation: only their SHA-256 is stored (contract 3.3). */
import { and, desc, eq, isNull, lt, or } from 'drizzle-orm'
import type { Db } from './client.ts'
import { orgApiTokens } from './schema.ts'

export type OrgTokenRow = Omit<typeof orgApiTokens.$inferSelect, 'tokenHash' | 'revokedAt'>

export async function insertOrgToken(
  db: Db,
  token: Omit<OrgTokenRow, 'lastUsedAt'> & { readonly tokenHash: Buffer },
): Promise<void> {
  await db.insert(orgApiTokens).values(token)
}

/** Those that are not revoked, newest first. */
export async function listLiveOrgTokens(db: Db, limit: number): Promise<OrgTokenRow[]> {
  const { id, prefix, name, createdBy, orgId, createdAt, lastUsedAt } = orgApiTokens
  return db
    .select({ id, prefix, name, createdBy, orgId, createdAt, lastUsedAt })
    .from(orgApiTokens)
    .where(isNull(orgApiTokens.revokedAt))
    .orderBy(desc(orgApiTokens.createdAt), desc(orgApiTokens.id))
    .limit(limit)
}

/** Returns the prefix of the token that it revoked, or undefined when there is no such live one. */
export async function revokeOrgToken(
  db: Db,
  input: { readonly id: string; readonly now: Date },
): Promise<string | undefined> {
  const rows = await db
    .update(orgApiTokens)
    .set({ revokedAt: input.now })
    .where(and(eq(orgApiTokens.id, input.id), isNull(orgApiTokens.revokedAt)))
    .returning({ prefix: orgApiTokens.prefix })
  return rows[0]?.prefix
}

/** As `touchToken`: at most one write per `resolutionMs`. */
export async function touchOrgToken(
  db: Db,
  input: { readonly id: string; readonly now: Date; readonly resolutionMs: number },
): Promise<void> {
  const before = new Date(input.now.getTime() - input.resolutionMs)
  await db
    .update(orgApiTokens)
    .set({ lastUsedAt: input.now })
    .where(
      and(
        eq(orgApiTokens.id, input.id),
        or(isNull(orgApiTokens.lastUsedAt), lt(orgApiTokens.lastUsedAt, before)),
      ),
    )
}
