/** The contract's 046 downwards (contract/platform 8.3), as its file says to run it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WORKSPACE_STATUSES } from '../../../apps/platform/src/domain/workspace-status.ts'
import {
  createTestDatabase,
  MIGRATIONS_DIR,
  type TestDatabase,
} from '../../support/test-database.ts'

const FILE = readFileSync(join(MIGRATIONS_DIR, 'down', 'workspace_status_046.sql'), 'utf8')

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  for (const status of WORKSPACE_STATUSES) {
    await database.sql`
      INSERT INTO workspaces (id, name, tier, status, runtime_kind, workspace_access, created_at,
        updated_at, status_since)
      VALUES (gen_random_uuid(), ${status}, 2, ${status}, 'echo', 'none', now(), now(), now())`
  }
})
afterAll(async () => {
  await database.drop()
})

async function statusByName(): Promise<Record<string, string>> {
  const rows = await database.sql<{ name: string; status: string }[]>`
    SELECT name, status::text FROM workspaces`
  return Object.fromEntries(rows.map(({ name, status }) => [name, status]))
}

const run = () => database.sql.begin((tx) => tx.unsafe(FILE))

describe('migrations/down/workspace_status_046.sql', () => {
  it('changes nothing when a platform still holds the table', async () => {
    const holder = await database.sql.reserve()
    try {
      await holder`BEGIN`
      await holder`SELECT 1 FROM workspaces FOR UPDATE`
      // Five seconds are the file's own patience; here a tenth is enough to see it end.
      const impatient = FILE.replace("lock_timeout = '5s'", "lock_timeout = '100ms'")
      expect(impatient).not.toBe(FILE)
      await expect(database.sql.begin((tx) => tx.unsafe(impatient))).rejects.toMatchObject({
        code: '55P03',
      })
    } finally {
      await holder`ROLLBACK`
      holder.release()
    }
    expect(await statusByName()).toEqual(
      Object.fromEntries(WORKSPACE_STATUSES.map((status) => [status, status])),
    )
  })

  it('maps the two members to what older releases know, and leaves eight', async () => {
    await run()
    const members = await database.sql`
      SELECT unnest(enum_range(NULL::workspace_status))::text AS member`
    // Written out: what a release of that time knows, whatever members come after these ten.
    expect(members.map((row) => row['member'])).toEqual([
      'provisioning',
      'online',
      'offline',
      'degraded',
      'failed',
      'removed',
      'paused',
      'hibernated',
    ])
    expect(await statusByName()).toMatchObject({
      awaiting_agent: 'offline',
      hibernating: 'hibernated',
      online: 'online',
      removed: 'removed',
    })
    await expect(
      database.sql`UPDATE workspaces SET status = 'awaiting_agent'`,
    ).rejects.toMatchObject({ code: '22P02' })
    const indexes = await database.sql`
      SELECT 1 FROM pg_indexes WHERE indexname = 'workspaces_status_idx'`
    expect(indexes).toHaveLength(1)
  })
})
