import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { platform } from '../../support/shared-platform.ts'
import { create, provideWorkspacesApi, read, remove } from '../../support/workspaces-api.ts'

provideWorkspacesApi()

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
    [{ name: 'x', max_concurrent_tasks: 2 ** 31 }, 'invalid workspace payload'],
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

describe('GET /workspaces/:id/console', () => {
  it("answers the back-end's console, for operators only", async () => {
    const { id, authToken } = await platform.onlineWorkspace('http://127.0.0.1:9')
    const path = `/workspaces/${id}/console`
    expect(await (await platform.request(path)).json()).toEqual({ output: `console of ${id}` })
    expect((await platform.request(path, { as: authToken })).status).toBe(401)
    expect((await platform.request(`${path}?tail_bytes=-1`)).status).toBe(400)
  })
})
