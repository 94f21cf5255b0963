/** What stands between a look at a row and the deed: each guard on its own, with what it is for. */
import { beforeAll, describe, expect, it } from 'vitest'
import { beatReplica } from '../../../apps/platform/src/db/replica-store.ts'
import {
  findLiveWorkspace,
  transitionWorkspace,
} from '../../../apps/platform/src/db/workspace-store.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { SweepRecord } from '../../../apps/platform/src/services/sweeps/sweep-record.ts'
import { eventually } from '../../support/eventually.ts'
import { platform } from '../../support/shared-platform.ts'
import { create, provideWorkspacesApi, read } from '../../support/workspaces-api.ts'

provideWorkspacesApi()

const BOX = 'http://127.0.0.1:9'
const never = new AbortController().signal

async function rowOf(id: string) {
  const row = await findLiveWorkspace(platform.deps.db, workspaceIdSchema.parse(id))
  if (row === undefined) throw new Error('the workspace is gone')
  return row
}

describe('between a look and a move', () => {
  it('a beat makes a silent workspace heard of', async () => {
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const seen = await rowOf(id)
    await platform.client.sql`
      UPDATE workspaces SET last_heartbeat_at = now() - interval '1 hour' WHERE id = ${id}`
    await platform.json('/registry/heartbeat', { workspace_id: id }, authToken)
    const move = { id: workspaceIdSchema.parse(id), to: 'degraded', now: new Date() } as const
    const heardOfBefore = new Date(Date.now() - 3_600_000)
    const { db } = platform.deps
    expect(await transitionWorkspace(db, { ...move, heardOfBefore })).toBeUndefined()
    expect(await transitionWorkspace(db, { ...move, heardOfBefore: null })).toBeUndefined()
    const { lastHeartbeatAt } = await rowOf(id)
    expect(lastHeartbeatAt).not.toEqual(seen.lastHeartbeatAt)
    const now = { ...move, heardOfBefore: lastHeartbeatAt }
    expect(await transitionWorkspace(db, now)).toMatchObject({ status: 'degraded' })
  })

  it('a new start has its own time', async () => {
    const { id } = await platform.onlineWorkspace(BOX)
    const before = new Date(Date.now() - 60_000)
    const move = { id: workspaceIdSchema.parse(id), to: 'degraded', now: new Date() } as const
    const { db } = platform.deps
    expect(await transitionWorkspace(db, { ...move, sameStatusBefore: before })).toBeUndefined()
    await platform.client.sql`
      UPDATE workspaces SET status_since = now() - interval '1 hour' WHERE id = ${id}`
    const moved = await transitionWorkspace(db, { ...move, sameStatusBefore: before })
    expect(moved).toMatchObject({ status: 'degraded' })
  })

  it('a message keeps an idle workspace awake', async () => {
    const { id } = await platform.onlineWorkspace(BOX)
    const seen = await rowOf(id)
    await platform.client.sql`UPDATE workspaces SET last_activity_at = now() WHERE id = ${id}`
    expect(await platform.deps.lifecycle.hibernateIfIdle(seen)).toBe(false)
    expect((await read(id)).status).toBe('online')
    expect(await platform.deps.lifecycle.hibernateIfIdle(await rowOf(id))).toBe(true)
  })
})

describe('a pass', () => {
  it('is made by one of all who come at once, and again when its time has come', async () => {
    let made = 0
    const sweep = {
      name: 'guarded',
      everyMs: 60_000,
      run: async () => {
        made += 1
        return { made }
      },
    }
    const records = Array.from({ length: 6 }, () => new SweepRecord(platform.deps))
    const results = await Promise.all(records.map((each) => each.make(sweep, never)))
    expect(results.filter((result) => result !== undefined)).toEqual([{ made: 1 }])
    await platform.client.sql`
      UPDATE sweep_passes SET last_tick_at = now() - interval '2 minutes' WHERE name = 'guarded'`
    expect(await records[0]?.make(sweep, never)).toEqual({ made: 2 })
  })

  it('over the boxes asks no back-end any more when the platform ends', async () => {
    // The background's own passes would do the same.
    await platform.client.sql`
      INSERT INTO sweep_passes (name, last_tick_at, replica_id, took_ms, result)
      VALUES ('boxes@test-host', now() + interval '1 hour', ${crypto.randomUUID()}, 0, '{}')
      ON CONFLICT (name) DO UPDATE SET last_tick_at = excluded.last_tick_at`
    const { lifecycle } = platform.deps
    const { running, stopped } = platform.provisioner
    const { id } = await platform.onlineWorkspace(BOX)
    await platform.client.sql`
      UPDATE workspaces SET box_started_at = now() - interval '1 hour' WHERE id = ${id}`
    const stranger = crypto.randomUUID()
    running.delete(id)
    running.add(stranger)
    expect(await lifecycle.sweepBoxes(AbortSignal.abort())).toMatchObject({ dead: 0, orphans: 0 })
    expect(stopped).not.toContain(stranger)
    expect(await lifecycle.sweepBoxes(never)).toMatchObject({ dead: 1, orphans: 1 })
    expect(stopped).toContain(stranger)
  })
})

describe('a workspace of another machine', () => {
  it('is dead when nothing is heard of that machine, and alive while something is', async () => {
    const { db, lifecycle } = platform.deps
    const { id } = await platform.onlineWorkspace(BOX)
    await platform.client.sql`UPDATE workspaces SET host_id = 'elsewhere' WHERE id = ${id}`
    const there = {
      id: crypto.randomUUID(),
      hostId: 'elsewhere',
      version: '0',
      startedAt: new Date(),
    }
    await beatReplica(db, there, new Date())
    expect(await lifecycle.judge(await rowOf(id), 'no heartbeat')).toBe('alive')
    await beatReplica(db, there, new Date(Date.now() - 120_000))
    expect(await lifecycle.judge(await rowOf(id), 'no heartbeat')).toBe('dead')
    expect((await read(id)).status).toBe('offline')
  })
})

describe('a box that a restart has ended', () => {
  it('has not died: whoever meets nobody there does not count against the budget', async () => {
    const { lifecycle } = platform.deps
    const { id } = await platform.onlineWorkspace(BOX)
    await platform.client.sql`UPDATE workspaces SET host_id = 'elsewhere' WHERE id = ${id}`
    const seen = await rowOf(id)
    await platform.json(`/workspaces/${id}/restart`, {})
    // Its run waits for another machine, so the old generation is there to be judged.
    for (const row of [seen, await rowOf(id)]) {
      expect([row.status, await lifecycle.judge(row, 'unreachable')]).toEqual([row.status, 'alive'])
    }
    expect(await rowOf(id)).toMatchObject({ status: 'provisioning', deaths: [] })
  })
})

describe('a box that cannot be ended', () => {
  let id: string
  beforeAll(async () => {
    id = (await platform.onlineWorkspace(BOX)).id
  })

  it('fails the workspace after six tries, and nothing was started beside it', async () => {
    platform.provisioner.failStop = true
    await platform.json(`/workspaces/${id}/restart`, {})
    // The pauses between the tries add up to half a minute.
    await eventually(async () => {
      await platform.client.sql`
        UPDATE lifecycle_runs SET not_before = now() WHERE workspace_id = ${id}`
      return (await read(id)).status === 'failed'
    })
    expect((await read(id)).status_reason).toContain('could not be ended')
    expect(platform.provisioner.starts.filter((each) => each.workspaceId === id)).toHaveLength(1)
  })
})

describe('a start that found its parent suspended', () => {
  it('waits, and comes back with it', async () => {
    const parent = await create({ name: 'p' })
    const child = await platform.onlineWorkspace(BOX, { parent_id: parent.id })
    await eventually(async () => (await read(parent.id))['url'] === BOX)
    await platform.client.sql`UPDATE workspaces SET status = 'paused' WHERE id = ${parent.id}`
    platform.provisioner.die({ workspaceId: child.id, generation: 1, reason: 'exit code 1' })
    await eventually(async () => {
      const runs = await platform.client.sql`
        SELECT 1 FROM lifecycle_runs WHERE workspace_id = ${child.id}`
      return (await read(child.id)).status === 'offline' && runs.length === 0
    })
    const startsOf = platform.provisioner.starts.filter((each) => each.workspaceId === child.id)
    expect(startsOf).toHaveLength(1)
  })
})
