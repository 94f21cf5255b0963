/** The look-ups of every request: many at once are few statements, and nobody gets another's row. */
import { randomBytes, randomUUID } from 'node:crypto'
import { drizzle } from 'drizzle-orm/postgres-js'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Db } from '../../../apps/platform/src/db/client.ts'
import * as schema from '../../../apps/platform/src/db/schema.ts'
import { findTokenByHash, revokeToken } from '../../../apps/platform/src/db/token-store.ts'
import { findLiveWorkspace } from '../../../apps/platform/src/db/workspace-store.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'

const COUNT = 100
let database: TestDatabase
let db: Db
let statements: string[] = []
const known = Array.from({ length: COUNT }, () => ({
  workspaceId: workspaceIdSchema.parse(randomUUID()),
  tokenId: randomUUID(),
  hash: randomBytes(32),
}))

beforeAll(async () => {
  database = await createTestDatabase()
  db = drizzle(database.sql, { schema, logger: { logQuery: (text) => statements.push(text) } })
  const now = new Date()
  await db.insert(schema.workspaces).values(
    known.map(({ workspaceId }, index) => ({
      ...{ id: workspaceId, name: `w${index}`, tier: 3, status: 'online' as const },
      ...{ runtimeKind: 'external' as const, workspaceAccess: 'none' as const },
      ...{ createdAt: now, updatedAt: now, statusSince: now },
    })),
  )
  await db.insert(schema.workspaceAuthTokens).values(
    known.map(({ tokenId, workspaceId, hash }) => ({
      ...{ id: tokenId, workspaceId, tokenHash: hash, prefix: 'p' },
      ...{ purpose: 'runtime' as const, createdAt: now },
    })),
  )
})
afterAll(async () => {
  await database.drop()
})

it('asks for many in two statements, and gives each its own', async () => {
  statements = []
  const unknown = { workspaceId: workspaceIdSchema.parse(randomUUID()), hash: randomBytes(32) }
  const rows = await Promise.all(
    [...known, unknown].map(async ({ workspaceId, hash }) => {
      const [row, token] = await Promise.all([
        findLiveWorkspace(db, workspaceId),
        findTokenByHash(db, hash),
      ])
      return [row?.id, token?.id]
    }),
  )
  expect(rows).toEqual([
    ...known.map(({ workspaceId, tokenId }) => [workspaceId, tokenId]),
    [undefined, undefined],
  ])
  expect(statements).toHaveLength(4)
})

it('refuses a token that was revoked while others were looked up', async () => {
  const [first, second] = known
  if (first === undefined || second === undefined) throw new Error('nobody is known')
  const asked: Promise<unknown>[] = []
  const ask = () => asked.push(findTokenByHash(db, second.hash), findTokenByHash(db, first.hash))
  ask()
  await revokeToken(db, { id: first.tokenId, workspaceId: first.workspaceId, now: new Date() })
  ask()
  const token = await findTokenByHash(db, first.hash)
  expect(token).toMatchObject({ id: first.tokenId, state: 'revoked' })
  await Promise.all(asked)
})

it('shows a transaction what only it can see', async () => {
  const [, , { workspaceId } = { workspaceId: undefined }] = known
  if (workspaceId === undefined) throw new Error('nobody is known')
  await db.transaction(async (tx) => {
    await tx.update(schema.workspaces).set({ name: 'renamed' })
    const [inside, outside] = await Promise.all([
      findLiveWorkspace(tx, workspaceId),
      findLiveWorkspace(db, workspaceId),
    ])
    expect([inside?.name, outside?.name]).toEqual(['renamed', 'w2'])
  })
})
