import { systemClock } from '@atrium/http-kit/clock'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type PlatformHarness, startPlatformHarness } from '../../support/platform-harness.ts'

let platform: PlatformHarness
beforeAll(async () => {
  platform = await startPlatformHarness()
})
afterAll(async () => {
  await platform.stop()
})
beforeEach(() => {
  platform.provisioner.endpoint = () => 'http://127.0.0.1:9'
  platform.provisioner.failStop = false
})

type Row = { id: string; status: string; status_reason: string | null; [key: string]: unknown }

async function create(fields: Record<string, unknown>): Promise<Row> {
  const answer = await platform.json('/workspaces', fields)
  expect(answer.status).toBe(201)
  return (await answer.json()) as Row
}
async function read(id: string): Promise<Row> {
  return (await (await platform.request(`/workspaces/${id}`)).json()) as Row
}
const remove = (id: string, query = '') =>
  platform.request(`/workspaces/${id}${query}`, { method: 'DELETE' })

describe('POST /workspaces', () => {
  it('answers 201 with what the contract says and starts the box with credentials', async () => {
    const created = await create({ name: 'one', runtime: 'echo', tier: 2, secrets: { KEY: 'v' } })
    expect(created).toEqual({
      id: created.id,
      status: 'provisioning',
      awareness_namespace: `workspace:${created.id}`,
      workspace_access: 'none',
    })
    const start = await eventually(() =>
      platform.provisioner.starts.find((each) => each.workspaceId === created.id),
    )
    expect(start).toMatchObject({ generation: 1, runtimeKind: 'echo', tier: 2 })
    expect(start.env).toMatchObject({
      WORKSPACE_ID: created.id,
      PLATFORM_URL: platform.url,
      TIER: '2',
    })
    expect(start.env).not.toHaveProperty('PARENT_ID')
    expect(start.secretEnv['KEY']?.reveal()).toBe('v')
    expect(start.credentials.authToken.reveal()).not.toBe(start.credentials.inboundSecret.reveal())
    const config = Buffer.from(start.configFiles.get('config.yaml') ?? []).toString()
    expect(config).toContain('runtime: echo')
  })

  it('tells a child its parent', async () => {
    const parent = await create({ name: 'parent' })
    const child = await create({ name: 'child', parent_id: parent.id })
    const start = await eventually(() =>
      platform.provisioner.starts.find((each) => each.workspaceId === child.id),
    )
    expect(start.env['PARENT_ID']).toBe(parent.id)
  })

  it('applies the defaults of the contract', async () => {
    const { id } = await create({ name: 'defaults', max_concurrent_tasks: 0, tier: 0, role: '' })
    expect(await read(id)).toMatchObject({
      tier: 3,
      runtime: 'langgraph',
      max_concurrent_tasks: 1,
      role: null,
      parent_id: null,
    })
  })

  const refused: readonly [Record<string, unknown>, string][] = [
    [{}, 'invalid workspace payload'],
    [{ name: 5 }, 'invalid workspace payload'],
    [{ name: 'x', tier: 9 }, 'invalid workspace payload'],
    [{ name: '' }, 'invalid workspace fields'],
    [{ name: 'a\nb' }, 'invalid workspace fields'],
    [{ name: 'a{b' }, 'invalid workspace fields'],
    [{ name: 'x'.repeat(256) }, 'invalid workspace fields'],
    [{ name: 'x', role: 'a|b' }, 'invalid workspace fields'],
    [{ name: 'x', runtime: 'y'.repeat(101) }, 'invalid workspace fields'],
    [{ name: 'x', secrets: { 'not a name': 'v' } }, 'invalid workspace fields'],
    [{ name: 'x', parent_id: 'nope' }, 'invalid workspace fields'],
    [{ name: 'x', workspace_access: 'all' }, 'invalid workspace access'],
    [{ name: 'x', workspace_access: 'read_only' }, 'invalid workspace access'],
  ]
  it.each(refused)('refuses %j and creates nothing', async (fields, error) => {
    const before = (await (await platform.request('/workspaces')).json()) as unknown[]
    const answer = await platform.json('/workspaces', fields)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error, hop: 'platform', retryable: false })
    expect(await (await platform.request('/workspaces')).json()).toHaveLength(before.length)
  })

  it('refuses a delivery mode, a template and a directory it cannot honour', async () => {
    const cases: readonly [Record<string, unknown>, string][] = [
      [{ name: 'x', delivery_mode: 'pigeon' }, 'invalid_delivery_mode'],
      [{ name: 'x', template: '../../etc' }, 'invalid_template'],
      [{ name: 'x', workspace_dir: '/etc' }, 'invalid_workspace_directory'],
    ]
    for (const [fields, code] of cases) {
      const answer = await platform.json('/workspaces', fields)
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({ code })
    }
  })

  it('refuses an unknown and a removed parent', async () => {
    const parent = await create({ name: 'gone' })
    await remove(parent.id)
    for (const parentId of [parent.id, '00000000-0000-4000-8000-000000000000']) {
      const answer = await platform.json('/workspaces', { name: 'x', parent_id: parentId })
      expect(answer.status).toBe(404)
    }
  })

  it('marks the row failed with a reason when the start fails, and leaks nothing internal', async () => {
    platform.provisioner.endpoint = () => {
      throw new Error('/var/lib/secret-place is full')
    }
    const { id } = await create({ name: 'doomed' })
    const row = await eventually(async () => {
      const current = await read(id)
      return current.status === 'failed' ? current : undefined
    })
    expect(row.status_reason).toBe('workspace start failed')
    expect(JSON.stringify(row)).not.toContain('secret-place')
  })

  it('leaves no box behind whose endpoint could not be written down', async () => {
    await platform.client.sql.unsafe(`
      CREATE FUNCTION refuse_endpoint() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no'; END $$;
      CREATE TRIGGER refuse_endpoint BEFORE UPDATE OF endpoint_url ON workspaces
        FOR EACH ROW WHEN (NEW.endpoint_url IS NOT NULL) EXECUTE FUNCTION refuse_endpoint();`)
    try {
      const { id } = await create({ name: 'unwritten' })
      await eventually(async () => (await read(id)).status === 'failed')
      expect(platform.provisioner.running.has(id)).toBe(false)
    } finally {
      await platform.client.sql.unsafe(
        'DROP TRIGGER refuse_endpoint ON workspaces; DROP FUNCTION refuse_endpoint();',
      )
    }
  })

  it('gives an external workspace its connection block once, and no box', async () => {
    const created = await create({ name: 'laptop', runtime: 'external' })
    expect(created).toMatchObject({ external: true, status: 'awaiting_agent' })
    const connection = created['connection'] as Record<string, string>
    expect(connection).toMatchObject({
      workspace_id: created.id,
      platform_url: platform.url,
      registry_endpoint: `${platform.url}/registry/register`,
      heartbeat_endpoint: `${platform.url}/registry/heartbeat`,
    })
    expect(connection['curl_register_template']).not.toContain(connection['auth_token'])
    expect(platform.provisioner.starts.some((each) => each.workspaceId === created.id)).toBe(false)
  })

  it('judges the URL of an external workspace', async () => {
    const bad = { name: 'x', external: true, url: 'http://169.254.169.254/' }
    expect((await platform.json('/workspaces', bad)).status).toBe(400)
    const good = await create({ name: 'x', external: true, url: 'http://93.184.216.34/agent' })
    expect(good).toEqual({ id: good.id, external: true, status: 'online' })
  })
})

describe('GET /workspaces/:id', () => {
  it('answers 400, 404 and the row', async () => {
    expect((await platform.request('/workspaces/x')).status).toBe(400)
    expect(
      (await platform.request('/workspaces/00000000-0000-4000-8000-000000000000')).status,
    ).toBe(404)
    const { id, authToken } = await platform.onlineWorkspace('http://127.0.0.1:9')
    const row = await platform.request(`/workspaces/${id}`, { as: authToken })
    expect(await row.json()).toMatchObject({ id, status: 'online', url: 'http://127.0.0.1:9' })
  })

  it('shows strangers neither the address nor the card, and nobody a secret', async () => {
    const { id, inboundSecret } = await platform.onlineWorkspace('http://127.0.0.1:9')
    const other = await platform.onlineWorkspace('http://127.0.0.1:9')
    for (const as of [null, other.authToken]) {
      const answer = await platform.request(`/workspaces/${id}`, { as })
      expect(await answer.json()).toMatchObject({
        id,
        status: 'online',
        url: null,
        agent_card: null,
      })
    }
    for (const path of ['/workspaces', `/workspaces/${id}`]) {
      const text = await (await platform.request(path)).text()
      expect(text).not.toContain(inboundSecret)
      expect(text).not.toMatch(/secret|token|v1\./)
    }
  })
})

describe('DELETE /workspaces/:id', () => {
  it('stops the box, removes its volume and answers removed', async () => {
    const { id } = await platform.onlineWorkspace('http://127.0.0.1:9')
    const answer = await remove(id)
    expect(await answer.json()).toEqual({ status: 'removed', cascade_deleted: 0 })
    expect(platform.provisioner.stopped).toContain(id)
    expect(platform.provisioner.removedVolumes).toContain(id)
    expect((await platform.request(`/workspaces/${id}`)).status).toBe(404)
  })

  it('asks for confirmation when there are children, and then takes them along', async () => {
    const parent = await create({ name: 'p' })
    const child = await create({ name: 'c', parent_id: parent.id })
    const grandchild = await create({ name: 'g', parent_id: child.id })
    const asked = await remove(parent.id)
    expect(asked.status).toBe(409)
    expect(await asked.json()).toMatchObject({
      status: 'confirmation_required',
      children_count: 2,
      children: [
        { id: child.id, name: 'c' },
        { id: grandchild.id, name: 'g' },
      ],
    })
    const done = await remove(parent.id, '?confirm=true&purge=true')
    expect(await done.json()).toEqual({ status: 'purged', cascade_deleted: 2 })
    const left = await platform.client.sql`
      SELECT id FROM workspaces WHERE id IN (${parent.id}, ${child.id}, ${grandchild.id})`
    expect(left).toHaveLength(0)
  })

  it('does not count a child that was removed before', async () => {
    const parent = await create({ name: 'p' })
    const child = await create({ name: 'c', parent_id: parent.id })
    await remove(child.id)
    const answer = await remove(parent.id)
    expect(await answer.json()).toEqual({ status: 'removed', cascade_deleted: 0 })
  })

  it('misses no child that is being created meanwhile', async () => {
    const parent = await create({ name: 'p' })
    // Its own start reads the table that is locked below, and is no part of this.
    await eventually(async () => (await read(parent.id))['url'] === 'http://127.0.0.1:9')
    const { sql } = platform.database
    const lock = await sql.reserve()
    const waiters = async () => {
      const rows = await sql`
        SELECT 1 FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'`
      return rows.length
    }
    // Holds the creation between its look at the parent and its commit.
    await lock`BEGIN`
    let creation: Promise<Response>
    let removal: Promise<Response>
    try {
      await lock`LOCK TABLE workspace_secrets`
      const child = { name: 'c', parent_id: parent.id, secrets: { KEY: 'v' } }
      creation = platform.json('/workspaces', child)
      await eventually(async () => (await waiters()) === 1)
      let isOver = false
      removal = remove(parent.id, '?confirm=true').finally(() => {
        isOver = true
      })
      await eventually(async () => isOver || (await waiters()) === 2)
    } finally {
      await lock`COMMIT`
      lock.release()
    }
    expect((await creation).status).toBe(201)
    expect(await (await removal).json()).toMatchObject({ status: 'removed', cascade_deleted: 1 })
    const rows = await sql`SELECT status FROM workspaces WHERE parent_id = ${parent.id}`
    expect(rows.map(({ status }) => status)).toEqual(['removed'])
  })

  it('revokes the tokens at once', async () => {
    const { id, authToken } = await platform.onlineWorkspace('http://127.0.0.1:9')
    await remove(id)
    const answer = await platform.json('/registry/heartbeat', { workspace_id: id }, authToken)
    expect(answer.status).toBe(401)
  })

  it('keeps the volume when the stop fails, says so, and can be repeated', async () => {
    const { id } = await platform.onlineWorkspace('http://127.0.0.1:9')
    platform.provisioner.failStop = true
    const failed = await remove(id)
    expect(failed.status).toBe(500)
    expect(await failed.json()).toMatchObject({
      code: 'stop_failed',
      hop: 'provisioner',
      removed_count: 1,
      stop_failures: 1,
    })
    expect(platform.provisioner.removedVolumes).not.toContain(id)
    platform.provisioner.failStop = false
    expect((await remove(id, '?purge=true')).status).toBe(200)
    expect(platform.provisioner.removedVolumes).toContain(id)
  })

  it('ends the boxes below as well when it is repeated after a failed stop', async () => {
    const parent = await create({ name: 'p' })
    const child = await create({ name: 'c', parent_id: parent.id })
    platform.provisioner.failStop = true
    expect((await remove(parent.id, '?confirm=true')).status).toBe(500)
    platform.provisioner.failStop = false
    const repeated = await remove(parent.id, '?confirm=true&purge=true')
    expect(await repeated.json()).toEqual({ status: 'purged', cascade_deleted: 1 })
    for (const { id } of [parent, child]) {
      expect(platform.provisioner.removedVolumes).toContain(id)
    }
    const left = await platform.client.sql`
      SELECT id FROM workspaces WHERE id IN (${parent.id}, ${child.id})`
    expect(left).toHaveLength(0)
  })

  it('ends a start in progress', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => promise
    const { id } = await create({ name: 'half' })
    await eventually(() => platform.provisioner.starts.some((each) => each.workspaceId === id))
    const removal = remove(id)
    resolve('http://127.0.0.1:9')
    expect((await removal).status).toBe(200)
    expect(platform.provisioner.running.has(id)).toBe(false)
  })
})

describe('a box that dies', () => {
  it('is started again with new credentials; the old token is dead', async () => {
    const { id, authToken } = await platform.onlineWorkspace('http://127.0.0.1:9')
    platform.provisioner.die({ workspaceId: id, generation: 1, reason: 'signal SIGKILL' })
    const second = await eventually(() =>
      platform.provisioner.starts.find((each) => each.workspaceId === id && each.generation === 2),
    )
    expect(second.credentials.authToken.reveal()).not.toBe(authToken)
    const stale = await platform.json('/registry/heartbeat', { workspace_id: id }, authToken)
    expect(stale.status).toBe(401)
  })

  it('before its endpoint was written down leaves no endpoint behind', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => promise
    const { id } = await create({ name: 'brief' })
    await eventually(() => platform.provisioner.starts.some((each) => each.workspaceId === id))
    platform.provisioner.die({ workspaceId: id, generation: 1, reason: 'exit code 1' })
    await eventually(async () => (await read(id)).status === 'offline')
    const { promise: never } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => never
    resolve('http://127.0.0.1:9')
    await eventually(() => platform.provisioner.stopped.includes(id))
    expect((await read(id))['url']).toBeNull()
  })

  it('of an older generation changes nothing', async () => {
    const { id } = await platform.onlineWorkspace('http://127.0.0.1:9')
    const other = await platform.onlineWorkspace('http://127.0.0.1:9')
    platform.provisioner.die({ workspaceId: id, generation: 0, reason: 'late news' })
    platform.provisioner.die({ workspaceId: other.id, generation: 1, reason: 'exit code 1' })
    // By the time the second news has had its effect, the first would have had its own.
    await eventually(() =>
      platform.provisioner.starts.some((s) => s.workspaceId === other.id && s.generation === 2),
    )
    expect(await read(id)).toMatchObject({ status: 'online' })
  })
})

describe('GET /workspaces/:id/console', () => {
  it("answers the back-end's console, for operators only", async () => {
    const { id, authToken } = await platform.onlineWorkspace('http://127.0.0.1:9')
    const path = `/workspaces/${id}/console`
    expect(await (await platform.request(path)).json()).toEqual({ output: `console of ${id}` })
    expect((await platform.request(path, { as: authToken })).status).toBe(401)
    expect((await platform.request(`${path}?tail_bytes=-1`)).status).toBe(400)
  })
})

describe('a box that keeps dying', () => {
  it('fails after five restarts, with a reason for a person', async () => {
    // The delays between restarts add up to 15 s; here only their order matters.
    const hasty = { ...systemClock, sleep: async () => undefined }
    const impatient = await startPlatformHarness({}, hasty)
    try {
      const { id } = await impatient.onlineWorkspace('http://127.0.0.1:9')
      for (let generation = 1; generation <= 6; generation += 1) {
        await eventually(() =>
          impatient.provisioner.starts.some((s) => s.generation === generation),
        )
        // Its endpoint has to be written down first, or the death ends a start and not a box.
        await eventually(async () => {
          const rows = await impatient.client.sql`
            SELECT endpoint_url FROM workspaces WHERE id = ${id} AND generation = ${generation}`
          return rows[0]?.['endpoint_url'] === 'http://127.0.0.1:9'
        })
        impatient.provisioner.die({ workspaceId: id, generation, reason: 'exit code 7' })
      }
      const row = await eventually(async () => {
        const current = (await (await impatient.request(`/workspaces/${id}`)).json()) as Row
        return current.status === 'failed' ? current : undefined
      })
      expect(row.status_reason).toBe(
        'runtime ended 6 times within 10 minutes, last: exit code 7; see its console output',
      )
      expect(impatient.provisioner.starts).toHaveLength(6)
    } finally {
      await impatient.stop()
    }
  })
})
