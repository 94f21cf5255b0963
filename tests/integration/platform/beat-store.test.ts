/** One statement for many beats: who is believed, what is stored, what stays as it was. */
import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BeatRecord, storeBeats } from '../../../apps/platform/src/db/beat-store.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database.drop()
})

const NOW = new Date('2026-01-02T03:04:05.678Z')

type Known = Pick<BeatRecord, 'workspaceId' | 'tokenHash'>

async function workspace(status = 'online', generation = 0): Promise<Known> {
  const workspaceId = workspaceIdSchema.parse(randomUUID())
  await database.sql`
    INSERT INTO workspaces (id, name, tier, status, runtime_kind, workspace_access, generation,
      created_at, updated_at, status_since)
    VALUES (${workspaceId}, 'w', 3, ${status}, 'external', 'none', ${generation}, now(), now(), now())`
  return { workspaceId, tokenHash: await token(workspaceId) }
}

async function token(workspaceId: string): Promise<Buffer> {
  const tokenHash = randomBytes(32)
  await database.sql`
    INSERT INTO workspace_auth_tokens (id, workspace_id, token_hash, prefix, purpose, created_at)
    VALUES (${randomUUID()}, ${workspaceId}, ${tokenHash}, 'p', 'runtime', now())`
  return tokenHash
}

function beat(of: Known, fields: Partial<BeatRecord> = {}): BeatRecord {
  return {
    ...of,
    generation: null,
    errorRate: 0.25,
    sampleError: 'e"\\{},\n',
    activeTasks: 2,
    uptimeSeconds: 77,
    currentTask: 'reading ü',
    monthlySpend: null,
    runtimeMetadata: null,
    ...fields,
  }
}

const store = (beats: readonly BeatRecord[], isBootstrapOpen = false) =>
  storeBeats(database.sql, { beats, now: NOW, lockTimeoutMs: 200, isBootstrapOpen })

const rowOf = async (of: Known) => {
  const rows = await database.sql`SELECT * FROM workspaces WHERE id = ${of.workspaceId}`
  return rows[0] ?? {}
}

describe('storeBeats', () => {
  it('stores the beats of many workspaces, each value as it is', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => workspace()))
    const beats = all.map((each, index) =>
      beat(each, { activeTasks: index, currentTask: `task ${index}`, monthlySpend: 1e12 }),
    )
    const { admitted, stored } = await store(beats)
    expect([...admitted].sort((a, b) => a - b)).toEqual(beats.map((_, index) => index))
    expect(stored.size).toBe(20)
    for (const [index, each] of all.entries()) {
      expect(await rowOf(each)).toMatchObject({
        last_error_rate: 0.25,
        last_sample_error: 'e"\\{},\n',
        active_tasks: index,
        uptime_seconds: 77,
        current_task: `task ${index}`,
        monthly_spend: '1000000000000',
        last_heartbeat_at: NOW,
        updated_at: NOW,
      })
    }
  })

  it('says what is needed to go on', async () => {
    const own = await workspace('degraded', 3)
    await store([beat(own, { currentTask: 'first' })])
    const { stored } = await store([beat(own, { currentTask: 'second' })])
    expect(stored.get(own.workspaceId)).toMatchObject({
      status: 'degraded',
      generation: 3,
      runtimeKind: 'external',
      deliveryMode: null,
      endpointUrl: null,
      boxAddress: null,
      inboundSecretCurrent: null,
      formerTask: 'first',
    })
  })

  it('believes nobody else, and changes nothing for them', async () => {
    const [own, other, revoked, removed] = await Promise.all([
      workspace(),
      workspace(),
      workspace(),
      workspace('removed'),
    ])
    await database.sql`
      UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${revoked.workspaceId}`
    const victims = [own, revoked, removed]
    const before = await Promise.all(victims.map(rowOf))
    const unknown = { workspaceId: workspaceIdSchema.parse(randomUUID()) }
    const { admitted, stored } = await store([
      beat({ ...own, tokenHash: null }),
      beat({ ...own, tokenHash: randomBytes(32) }),
      beat({ ...own, tokenHash: other.tokenHash }),
      beat(revoked),
      beat({ ...unknown, tokenHash: other.tokenHash }),
      beat(removed),
      beat(other),
    ])
    // A removed one's token is revoked with it; here it was not, and still changes nothing.
    expect([...admitted].sort()).toEqual([5, 6])
    expect([...stored.keys()]).toEqual([other.workspaceId])
    expect(await Promise.all(victims.map(rowOf))).toEqual(before)
  })

  it('stores the last admitted beat of a workspace, whatever strangers say after it', async () => {
    const own = await workspace()
    const second = { ...own, tokenHash: await token(own.workspaceId) }
    const { admitted } = await store([
      beat(own, { uptimeSeconds: 1 }),
      beat(second, { uptimeSeconds: 2 }),
      beat({ ...own, tokenHash: randomBytes(32) }, { uptimeSeconds: 3 }),
    ])
    expect([...admitted].sort()).toEqual([0, 1])
    expect(await rowOf(own)).toMatchObject({ uptime_seconds: 2 })
  })

  it('stores nothing of another generation', async () => {
    const own = await workspace('online', 4)
    const before = await rowOf(own)
    for (const generation of [3, 5]) {
      const { admitted, stored } = await store([beat(own, { generation })])
      expect([admitted.size, stored.size]).toEqual([1, 0])
    }
    expect(await rowOf(own)).toEqual(before)
    expect((await store([beat(own, { generation: 4 })])).stored.size).toBe(1)
  })

  it('clears the metadata that a beat does not repeat, and keeps the spend', async () => {
    const own = await workspace()
    const metadata = { capabilities: { session: true } }
    await store([beat(own, { runtimeMetadata: JSON.stringify(metadata), monthlySpend: 5 })])
    expect(await rowOf(own)).toMatchObject({ runtime_metadata: metadata, monthly_spend: '5' })
    await store([beat(own)])
    expect(await rowOf(own)).toMatchObject({ runtime_metadata: null, monthly_spend: '5' })
  })

  it('counts work as activity, and idling as none (wart W19)', async () => {
    const own = await workspace()
    await store([beat(own, { activeTasks: 0 })])
    expect(await rowOf(own)).toMatchObject({ last_activity_at: null })
    await store([beat(own, { activeTasks: 1 })])
    expect(await rowOf(own)).toMatchObject({ last_activity_at: NOW })
    // Work that has ended since the beat before was there until now.
    await database.sql`
      UPDATE workspaces SET last_activity_at = NULL WHERE id = ${own.workspaceId}`
    await store([beat(own, { activeTasks: 0 })])
    expect(await rowOf(own)).toMatchObject({ last_activity_at: NOW })
  })

  it('notes the use of a token, and not again within minutes', async () => {
    const own = await workspace()
    const lastUse = async () => {
      const rows = await database.sql`
        SELECT last_used_at FROM workspace_auth_tokens WHERE workspace_id = ${own.workspaceId}`
      return rows[0]?.['last_used_at']
    }
    await store([beat(own)])
    expect(await lastUse()).toEqual(NOW)
    const later = new Date(NOW.getTime() + 9 * 60_000)
    const at = (now: Date) =>
      storeBeats(database.sql, {
        beats: [beat(own)],
        now,
        lockTimeoutMs: 200,
        isBootstrapOpen: false,
      })
    await at(later)
    expect(await lastUse()).toEqual(NOW)
    const muchLater = new Date(NOW.getTime() + 11 * 60_000)
    await at(muchLater)
    expect(await lastUse()).toEqual(muchLater)
  })

  it('admits beats of tokenless workspaces only where the bootstrap is open', async () => {
    const own = await workspace()
    await database.sql`DELETE FROM workspace_auth_tokens WHERE workspace_id = ${own.workspaceId}`
    const bare = beat({ ...own, tokenHash: null })
    expect((await store([bare])).admitted.size).toBe(0)
    expect((await store([bare], true)).stored.size).toBe(1)
    await token(own.workspaceId)
    expect((await store([bare], true)).admitted.size).toBe(0)
  })

  it('waits no longer for a lock than it may', async () => {
    const [own, locked] = await Promise.all([workspace(), workspace()])
    await database.sql.begin(async (tx) => {
      await tx`SELECT 1 FROM workspaces WHERE id = ${locked.workspaceId} FOR UPDATE`
      await expect(store([beat(own), beat(locked)])).rejects.toMatchObject({ code: '55P03' })
    })
    expect((await store([beat(own), beat(locked)])).stored.size).toBe(2)
  })
})

describe('a beat', () => {
  it('writes no column that an index covers, so that its row stays on its page (HOT)', async () => {
    const own = await workspace()
    const before = await rowOf(own)
    await store([
      beat(own, { monthlySpend: 7, runtimeMetadata: '{"idle_timeout_seconds":5}', activeTasks: 3 }),
    ])
    const after = await rowOf(own)
    const written = Object.keys(after).filter(
      (name) => JSON.stringify(after[name]) !== JSON.stringify(before[name]),
    )
    expect(written.length).toBeGreaterThan(8)
    const indexed = await database.sql<{ column: string }[]>`
      SELECT DISTINCT a.attname AS column
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
       WHERE i.indrelid = 'workspaces'::regclass AND a.attnum > 0
         AND (a.attnum = ANY (i.indkey) OR pg_get_indexdef(i.indexrelid) ~ ('\\m' || a.attname || '\\M'))`
    const names = indexed.map(({ column }) => column)
    expect(names).toContain('status')
    expect(written.filter((name) => names.includes(name))).toEqual([])
  })
})
