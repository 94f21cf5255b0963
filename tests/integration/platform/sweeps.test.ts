/**
 * The reconcilers, on a platform that looks ten times a second. How long it waits before it acts is far
 * more than a busy machine needs for a test: the rows are made older instead.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'
import { startWorkspaceServer, type WorkspaceServer } from '../../support/workspace-server.ts'
import { create, read } from '../../support/workspaces-api.ts'

sharePlatform({
  ATRIUM_SWEEP_INTERVAL_MS: '100',
  ATRIUM_LIVENESS_STALE_AFTER: '60',
  REMOTE_LIVENESS_STALE_AFTER: '60',
  PROVISION_TIMEOUT_SECONDS: '60',
})

let box: WorkspaceServer
beforeAll(async () => {
  box = await startWorkspaceServer()
})
afterAll(async () => {
  await box.close()
})
beforeEach(() => {
  platform.provisioner.isRunningFails = false
})

const startsOf = (id: string) => platform.provisioner.starts.filter((s) => s.workspaceId === id)

/** Makes the workspace's last sign of life so old, and its box older than that. */
async function lastHeard(id: string, seconds: number): Promise<void> {
  await platform.client.sql`
    UPDATE workspaces SET last_heartbeat_at = now() - ${seconds} * interval '1 second',
      box_started_at = now() - interval '1 hour' WHERE id = ${id}`
}

async function passes(): Promise<Record<string, { result: Record<string, unknown> }>> {
  const answer = await platform.request('/admin/liveness')
  const body = (await answer.json()) as {
    subsystems: Record<string, { result: Record<string, unknown>; last_tick_at: string }>
  }
  return body.subsystems
}

/** Waits for whole passes that began after now. */
async function nextPass(name: string, count = 2): Promise<void> {
  const tickOf = async () => Date.parse((await tick(name)) ?? '')
  for (let round = 0; round < count; round += 1) {
    const before = await tickOf()
    await eventually(async () => (await tickOf()) > before)
  }
}

async function tick(name: string): Promise<string | undefined> {
  const rows = await platform.client.sql<{ at: string }[]>`
    SELECT last_tick_at::text AS at FROM sweep_passes WHERE name = ${name}`
  return rows[0]?.at
}

describe('a workspace that has not been heard of', () => {
  it('is dead when its back-end says so too, and comes back', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    platform.provisioner.running.delete(id)
    await lastHeard(id, 600)
    await eventually(() => startsOf(id).length === 2)
    const events = await platform.client.sql`
      SELECT event_type FROM structure_events WHERE workspace_id = ${id} ORDER BY created_at, id`
    expect(events.map((row) => row['event_type'])).toContain('WORKSPACE_OFFLINE')
  })

  it('and whose box runs is degraded, never restarted: busy is not dead', async () => {
    const { id, authToken } = await platform.onlineWorkspace(box.url)
    await lastHeard(id, 600)
    await eventually(async () => (await read(id)).status === 'degraded')
    expect((await read(id)).status_reason).toBe('no heartbeat for 60 s, though its box runs')
    await nextPass('liveness')
    expect(startsOf(id)).toHaveLength(1)
    await platform.json('/registry/heartbeat', { workspace_id: id }, authToken)
    expect((await read(id)).status).toBe('online')
  })

  it('is alive when the back-end cannot say', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    platform.provisioner.isRunningFails = true
    platform.provisioner.running.delete(id)
    await lastHeard(id, 600)
    await nextPass('liveness', 3)
    expect(startsOf(id)).toHaveLength(1)
    expect((await read(id)).status).toBe('degraded')
  })

  it('and is external is awaited, with its own event, and comes back by a beat', async () => {
    const external = await create({ name: 'x', external: true })
    const token = (external['connection'] as { auth_token: string }).auth_token
    const card = { id: external.id, agent_card: { name: 'a' } }
    await platform.json('/registry/register', card, token)
    expect((await read(external.id)).status).toBe('online')
    await lastHeard(external.id, 600)
    await eventually(async () => (await read(external.id)).status === 'awaiting_agent')
    const events = await platform.client.sql`
      SELECT event_type FROM structure_events WHERE workspace_id = ${external.id}
       ORDER BY created_at DESC, id LIMIT 1`
    expect(events[0]?.['event_type']).toBe('WORKSPACE_AWAITING_AGENT')
    await platform.json('/registry/heartbeat', { workspace_id: external.id }, token)
    expect((await read(external.id)).status).toBe('online')
  })

  it('and registered by itself is offline: nobody here could start it', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    await platform.client.sql`
      UPDATE workspaces SET generation = 0, box_generation = NULL, back_end = NULL,
        box_started_at = NULL, last_heartbeat_at = now() - interval '1 hour' WHERE id = ${id}`
    await eventually(async () => (await read(id)).status === 'offline')
    await nextPass('unattended-workspaces')
    expect(startsOf(id)).toHaveLength(1)
  })
})

describe('a box that its back-end does not list', () => {
  it('is dead when its port refuses as well', async () => {
    const { id } = await platform.onlineWorkspace('http://127.0.0.1:9')
    platform.provisioner.running.delete(id)
    await lastHeard(id, 1)
    await eventually(() => startsOf(id).length === 2)
  })

  it('is alive while its port answers and its beats come', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    platform.provisioner.running.delete(id)
    await lastHeard(id, 1)
    await nextPass('boxes@test-host')
    expect(startsOf(id)).toHaveLength(1)
    platform.provisioner.running.add(id)
  })
})

describe('a box without a row', () => {
  it('is ended with what it stored', async () => {
    const stranger = crypto.randomUUID()
    platform.provisioner.running.add(stranger)
    await eventually(() => platform.provisioner.removedVolumes.includes(stranger))
    expect(platform.provisioner.stopped).toContain(stranger)
  })

  it('of a removed workspace is ended by a run', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    await platform.request(`/workspaces/${id}`, { method: 'DELETE' })
    platform.provisioner.running.add(id)
    await eventually(() => !platform.provisioner.running.has(id))
  })

  it('is started when it counts as awake and no box of it is left', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    await platform.client.sql`
      UPDATE workspaces SET box_generation = NULL, box_started_at = NULL WHERE id = ${id}`
    await eventually(() => startsOf(id).length === 2)
  })
})

describe('a start', () => {
  it('that does not come up in time has failed, and its box is ended', async () => {
    platform.provisioner.endpoint = () => box.url
    const { id } = await create({ name: 'mute' })
    await eventually(() => platform.provisioner.running.has(id))
    await nextPass('provision-timeout')
    expect((await read(id)).status).toBe('provisioning')
    await platform.client.sql`
      UPDATE workspaces SET status_since = now() - interval '61 seconds' WHERE id = ${id}`
    await eventually(async () => (await read(id)).status === 'failed')
    expect((await read(id)).status_reason).toBe(
      'not online within 60 s of its start; see its console output',
    )
    await eventually(() => !platform.provisioner.running.has(id))
    const events = await platform.client.sql`
      SELECT payload FROM structure_events
       WHERE workspace_id = ${id} AND event_type = 'WORKSPACE_PROVISION_FAILED'`
    expect(events[0]?.['payload']).toMatchObject({
      source: 'provision_timeout_sweep',
      timeout_secs: 60,
    })
  })
})

describe('POST /admin/workspaces/:id/bootstrap-failed', () => {
  it('fails a start in progress, with what the machine said last, and nothing else', async () => {
    const { promise: never } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => never
    const { id } = await create({ name: 'boots' })
    await eventually(() => startsOf(id).length === 1)
    const report = { error: 'kernel panic', log_tail: `${'x'.repeat(9000)}end\u0000` }
    const path = `/admin/workspaces/${id}/bootstrap-failed`
    expect(await (await platform.json(path, report)).json()).toEqual({ ok: true })
    expect(await read(id)).toMatchObject({ status: 'failed', status_reason: 'kernel panic' })
    expect(await (await platform.json(path, report)).json()).toEqual({ ok: true, no_change: true })
    const events = await platform.client.sql`
      SELECT payload FROM structure_events
       WHERE workspace_id = ${id} AND event_type = 'WORKSPACE_PROVISION_FAILED'`
    expect(events).toHaveLength(1)
    expect(events[0]?.['payload']).toMatchObject({
      error: 'kernel panic',
      source: 'bootstrap_watcher',
      log_tail: `${'x'.repeat(8189)}end`,
    })
  })
})

describe('an idle workspace', () => {
  it('W19: sleeps by its last activity, however often it beats', async () => {
    const { id, authToken } = await platform.onlineWorkspace(box.url)
    const { id: busy } = await platform.onlineWorkspace(box.url)
    await platform.client.sql`
      UPDATE workspaces SET hibernation_idle_minutes = 5, status_since = now() - interval '1 hour',
        last_activity_at = now() - interval '6 minutes' WHERE id IN (${id}, ${busy})`
    await platform.client.sql`UPDATE workspaces SET last_activity_at = now() WHERE id = ${busy}`
    await platform.json('/registry/heartbeat', { workspace_id: id }, authToken)
    await eventually(async () => (await tick('hibernation-monitor')) !== undefined)
    await platform.client.sql`
      UPDATE sweep_passes SET last_tick_at = now() - interval '1 hour'
       WHERE name = 'hibernation-monitor'`
    await eventually(async () => (await read(id)).status === 'hibernated')
    expect((await read(busy)).status).toBe('online')
  })
})

describe('a row that nobody attends to', () => {
  it('gets the run that its status asks for', async () => {
    const { id } = await platform.onlineWorkspace(box.url)
    // As a repair by hand would leave it.
    await platform.client.sql`UPDATE workspaces SET status = 'paused' WHERE id = ${id}`
    await eventually(() => !platform.provisioner.running.has(id))
  })
})

describe('GET /admin/liveness', () => {
  it('tells of every reconciler, of the runs and of the replicas', async () => {
    await eventually(async () => Object.keys(await passes()).length >= 6)
    const answer = await platform.request('/admin/liveness')
    const body = await answer.json()
    expect(body).toMatchObject({
      subsystems: {
        liveness: { seconds_ago: expect.any(Number), result: expect.any(Object) },
        'external-staleness': {},
        'provision-timeout': {},
        'hibernation-monitor': {},
        'unattended-workspaces': {},
        'boxes@test-host': { result: { expected: expect.any(Number) } },
      },
      runs: { waiting: expect.any(Number), running: expect.any(Number) },
      replicas: [{ host_id: 'test-host', version: '0.1.0' }],
    })
  })

  it('tells of a pass that failed, and the next one goes on', async () => {
    platform.provisioner.listFails = true
    try {
      await eventually(async () => {
        const result = (await passes())['boxes@test-host']?.result
        return result?.['error'] === 'failed; see the log'
      })
    } finally {
      platform.provisioner.listFails = false
    }
    await eventually(async () => (await passes())['boxes@test-host']?.result['orphans'] === 0)
  })

  it('tells of the upload folders what the runtimes that are awake say of theirs', async () => {
    const figures = async () => {
      const body = (await (await platform.request('/admin/liveness')).json()) as {
        upload_sweeps: Record<string, number | null>
      }
      return body.upload_sweeps
    }
    const none = { workspaces: 0, removed: 0, failing: 0, oldest_seconds_ago: null }
    expect(await figures()).toEqual(none)
    const [tidy, torn, mute] = [
      await platform.onlineWorkspace(box.url),
      await platform.onlineWorkspace(box.url),
      await platform.onlineWorkspace(box.url),
    ]
    const beat = async (who: typeof tidy, upload_sweep: unknown): Promise<void> => {
      const body = { workspace_id: who.id, runtime_metadata: { upload_sweep } }
      expect((await platform.json('/registry/heartbeat', body, who.authToken)).status).toBe(200)
    }
    await beat(tidy, { seconds_ago: 60, removed: 3, failed: 0 })
    await beat(torn, { seconds_ago: 5_000, removed: 1, failed: 2 })
    await beat(mute, { seconds_ago: 9_000, removed: 'many', failed: 1 })
    const told = await figures()
    expect(told).toMatchObject({ workspaces: 2, removed: 4, failing: 1 })
    expect(told['oldest_seconds_ago']).toBeGreaterThanOrEqual(5_000)
    expect(told['oldest_seconds_ago']).toBeLessThan(5_600)
    await platform.request(`/workspaces/${torn.id}`, { method: 'DELETE' })
    expect(await figures()).toMatchObject({ workspaces: 1, removed: 3, failing: 0 })
    // What a beat said grows older with the beat.
    await lastHeard(tidy.id, 600)
    expect((await figures())['oldest_seconds_ago']).toBeGreaterThanOrEqual(660)
  })
})
