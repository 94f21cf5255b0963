import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import {
  insertWorkspace,
  transitionWorkspace,
} from '../../../apps/platform/src/db/workspace-store.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import {
  TRANSITIONS,
  WORKSPACE_STATUSES,
  type WorkspaceStatus,
} from '../../../apps/platform/src/domain/workspace-status.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'
import { newWorkspaceRow } from '../../support/workspace-row.ts'

let database: TestDatabase
let client: DatabaseClient
const now = new Date('2026-11-21T00:00:00Z')

beforeAll(async () => {
  database = await createTestDatabase()
  client = openDatabase({ url: database.url, maxConnections: 8 })
})
afterAll(async () => {
  await client.close()
  await database.drop()
})

async function workspaceIn(status: WorkspaceStatus) {
  const id = workspaceIdSchema.parse(crypto.randomUUID())
  await insertWorkspace(client.db, newWorkspaceRow(id, status, now))
  return id
}

async function statusOf(id: string): Promise<unknown> {
  const rows = await client.sql`SELECT status FROM workspaces WHERE id = ${id}`
  return rows[0]?.['status']
}

describe('workspace_status on a real database', () => {
  it('has exactly the members of the union', async () => {
    const rows = await client.sql`SELECT unnest(enum_range(NULL::workspace_status))::text AS member`
    expect(rows.map((row) => row['member']).sort()).toEqual([...WORKSPACE_STATUSES].sort())
  })

  it('refuses a stranger', async () => {
    const id = await workspaceIn('online')
    await expect(
      client.sql`UPDATE workspaces SET status = 'sleeping' WHERE id = ${id}`,
    ).rejects.toMatchObject({ code: '22P02' })
  })

  const pairs = WORKSPACE_STATUSES.flatMap((from) =>
    WORKSPACE_STATUSES.map((to) => [from, to, TRANSITIONS[from].includes(to)] as const),
  )
  it.each(pairs)('from %s to %s is allowed: %s', async (from, to, isAllowed) => {
    const id = await workspaceIn(from)
    const moved = await transitionWorkspace(client.db, { id, to, now })
    expect(moved !== undefined).toBe(isAllowed)
    expect(await statusOf(id)).toBe(isAllowed ? to : from)
  })

  it('lets one of many concurrent callers win', async () => {
    const id = await workspaceIn('online')
    const moves = await Promise.all(
      Array.from({ length: 8 }, () =>
        transitionWorkspace(client.db, { id, to: 'offline', from: ['online'], now }),
      ),
    )
    expect(moves.filter((row) => row !== undefined)).toHaveLength(1)
  })

  it('does not move a workspace of another generation', async () => {
    const id = await workspaceIn('online')
    expect(
      await transitionWorkspace(client.db, { id, to: 'offline', generation: 7, now }),
    ).toBeUndefined()
    expect(await statusOf(id)).toBe('online')
  })
})

describe('sets of values kept as text', () => {
  const sets = [
    ['workspaces', 'delivery_mode', ['push', 'poll']],
    ['workspaces', 'workspace_access', ['none', 'read_only', 'read_write']],
  ] as const
  it.each(sets)('%s.%s takes its members and no stranger', async (table, column, members) => {
    const id = await workspaceIn('online')
    for (const member of members) {
      await client.sql`UPDATE ${client.sql(table)} SET ${client.sql(column)} = ${member} WHERE id = ${id}`
    }
    await expect(
      client.sql`UPDATE ${client.sql(table)} SET ${client.sql(column)} = 'stranger' WHERE id = ${id}`,
    ).rejects.toMatchObject({ code: '23514' })
  })
})
