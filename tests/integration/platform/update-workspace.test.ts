/** PATCH /workspaces/:id, GET /workspaces/:id/state, and the keys of every reading (contract 7.9). */
import { describe, expect, it } from 'vitest'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

const BOX = 'http://127.0.0.1:9'
const UNKNOWN = '00000000-0000-4000-8000-000000000000'

type Json = Record<string, unknown>

const create = async (fields: Json = {}): Promise<string> => {
  const body = { name: 'w', external: true, ...fields }
  return ((await (await platform.json('/workspaces', body)).json()) as { id: string }).id
}

const patch = (id: string, body: unknown, as?: string) =>
  platform.request(`/workspaces/${id}`, {
    method: 'PATCH',
    body: JSON.stringify(body),
    ...(as === undefined ? {} : { as }),
  })

async function listed(id: string): Promise<Json> {
  const rows = (await (await platform.request('/workspaces')).json()) as Json[]
  return rows.find((row) => row['id'] === id) ?? {}
}

const stored = async (id: string) =>
  JSON.stringify(await platform.database.sql`SELECT * FROM workspaces WHERE id = ${id}`)

describe('PATCH /workspaces/:id', () => {
  it('changes what it names and nothing else', async () => {
    const [id, parent] = [await create({ role: 'old', canvas: { x: 5, y: 6 } }), await create()]
    const before = await listed(id)
    const answer = await patch(id, {
      name: '  new name ',
      role: '',
      tier: 2,
      parent_id: parent,
      max_concurrent_tasks: 4,
      hibernation_idle_minutes: 30,
      x: -1.5,
      collapsed: true,
    })
    expect([answer.status, await answer.json()]).toEqual([200, { status: 'updated' }])
    expect(await listed(id)).toEqual({
      ...before,
      name: 'new name',
      role: null,
      tier: 2,
      parent_id: parent,
      max_concurrent_tasks: 4,
      hibernation_idle_minutes: 30,
      x: -1.5,
      y: 6,
      collapsed: true,
      updated_at: expect.any(String),
    })
    await patch(id, { parent_id: null, hibernation_idle_minutes: 0, canvas: { x: 1, y: 2 } })
    expect(await listed(id)).toMatchObject({
      parent_id: null,
      hibernation_idle_minutes: null,
      x: 1,
      y: 2,
    })
  })

  it('says when a box has to be started again to know of it', async () => {
    const { id } = await platform.onlineWorkspace(BOX, { name: 'boxed', tier: 2 })
    for (const [fields, expected] of [
      [{ x: 4 }, { status: 'updated' }],
      [{ tier: 2 }, { status: 'updated' }],
      [{ tier: 3 }, { status: 'updated', needs_restart: true }],
      [{ runtime: 'hermes' }, { status: 'updated', needs_restart: true }],
      [{ role: 'writer' }, { status: 'updated', needs_restart: true }],
    ] as const) {
      expect(await (await patch(id, fields)).json()).toEqual(expected)
    }
  })

  it.each([
    [{ name: '' }, ['name']],
    [{ name: 'a\nb' }, ['name']],
    [{ name: null }, ['name']],
    [{ name: 'fine', role: 'a|b', tier: 9 }, ['role', 'tier']],
    [{ parent_id: 'x' }, ['parent_id']],
    [{ x: 'left' }, ['x']],
    [{ hibernation_idle_minutes: -1 }, ['hibernation_idle_minutes']],
    [{ name: 'fine', status: 'online', generation: 7 }, ['status', 'generation']],
    [{ runtime: 'langgraph' }, ['runtime']],
    [[], ['(body)']],
  ])('refuses %j as a whole, naming the fields', async (body, fields) => {
    const id = await create()
    const before = await stored(id)
    const answer = await patch(id, body)
    expect(answer.status).toBe(400)
    const problem = (await answer.json()) as { fields: string[] }
    expect(problem).toMatchObject({ code: 'invalid_workspace_fields' })
    expect(problem.fields.toSorted()).toEqual(fields.toSorted())
    expect(await stored(id)).toBe(before)
  })

  it('finds no unknown, no removed and no malformed one, and no such parent', async () => {
    const removed = await create()
    await platform.request(`/workspaces/${removed}`, { method: 'DELETE' })
    for (const [id, status, error] of [
      [UNKNOWN, 404, 'workspace not found'],
      [removed, 404, 'workspace not found'],
      ['x', 400, 'invalid workspace ID'],
    ] as const) {
      const answer = await patch(id, { name: 'n' })
      expect([answer.status, await answer.json()]).toMatchObject([status, { error }])
    }
    const id = await create()
    for (const parent of [UNKNOWN, removed]) {
      const answer = await patch(id, { parent_id: parent })
      expect([answer.status, await answer.json()]).toMatchObject([
        404,
        { error: 'parent workspace not found' },
      ])
    }
  })

  it('lets nobody be below itself, however many try at once', async () => {
    const [a, b, c] = [await create(), await create(), await create()]
    await patch(b, { parent_id: a })
    await patch(c, { parent_id: b })
    for (const parent of [a, b, c]) {
      const answer = await patch(a, { parent_id: parent })
      expect([answer.status, await answer.json()]).toMatchObject([409, { code: 'parent_cycle' }])
    }
    for (let round = 0; round < 10; round += 1) {
      const pair = [await create(), await create()] as const
      const answers = await Promise.all([
        patch(pair[0], { parent_id: pair[1] }),
        patch(pair[1], { parent_id: pair[0] }),
      ])
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409])
    }
  })

  it('lets nobody be below itself, however deep below', async () => {
    const top = await create()
    let deepest = top
    for (let depth = 0; depth < 34; depth += 1) deepest = await create({ parent_id: deepest })
    const answer = await patch(top, { parent_id: deepest })
    expect([answer.status, await answer.json()]).toMatchObject([409, { code: 'parent_cycle' }])
  })

  it('says that the database refused, and changes nothing then (warts W25, W38)', async () => {
    const id = await create()
    const before = await stored(id)
    await platform.database.sql.unsafe(`
      CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'internal detail'; END $$;
      CREATE TRIGGER refuse_change BEFORE UPDATE OF canvas_x ON workspaces
        FOR EACH ROW EXECUTE FUNCTION refuse_change();`)
    try {
      const answer = await patch(id, { name: 'new', x: 7 })
      expect(answer.status).toBe(500)
      expect(await answer.text()).not.toContain('internal detail')
      expect(await stored(id)).toBe(before)
    } finally {
      await platform.database.sql.unsafe(
        'DROP TRIGGER refuse_change ON workspaces; DROP FUNCTION refuse_change();',
      )
    }
  })

  it('leaves rights and costs to operators, whoever holds the token of the workspace', async () => {
    const own = await platform.onlineWorkspace(BOX)
    const before = await stored(own.id)
    const powers: Json = {
      tier: 4,
      parent_id: null,
      runtime: 'hermes',
      max_concurrent_tasks: 9,
      hibernation_idle_minutes: 1,
    }
    for (const [field, value] of Object.entries(powers)) {
      const answer = await patch(own.id, { name: 'harmless', [field]: value }, own.authToken)
      expect([answer.status, await answer.json()]).toMatchObject([
        403,
        { code: 'operator_fields', fields: [field] },
      ])
    }
    expect(await stored(own.id)).toBe(before)
    expect((await patch(own.id, { name: 'mine', x: 1 }, own.authToken)).status).toBe(200)
  })
})

describe('GET /workspaces/:id/state', () => {
  it('says to the workspace, the organisation and the operator how it stands (wart W17)', async () => {
    const own = await platform.onlineWorkspace(BOX)
    const minted = await platform.request('/org/tokens', { method: 'POST' })
    const { auth_token: orgToken } = (await minted.json()) as { auth_token: string }
    for (const as of [own.authToken, orgToken, undefined]) {
      const answer = await platform.request(
        `/workspaces/${own.id}/state`,
        as === undefined ? {} : { as },
      )
      expect([answer.status, await answer.json()]).toEqual([
        200,
        { workspace_id: own.id, status: 'online', paused: false, deleted: false },
      ])
    }
    await platform.request(`/workspaces/${own.id}/pause`, { method: 'POST' })
    const paused = await platform.request(`/workspaces/${own.id}/state`, { as: own.authToken })
    expect(await paused.json()).toMatchObject({ status: 'paused', paused: true })
  })

  it('says of an unknown and of a removed one that it is deleted', async () => {
    const removed = await create()
    await platform.request(`/workspaces/${removed}`, { method: 'DELETE' })
    for (const id of [UNKNOWN, removed]) {
      const answer = await platform.request(`/workspaces/${id}/state`)
      expect([answer.status, await answer.json()]).toMatchObject([
        404,
        { error: 'workspace not found', deleted: true },
      ])
    }
  })
})

describe('the keys of a workspace (contract/platform 7.9)', () => {
  const EVERYWHERE = [
    ...['id', 'name', 'role', 'tier', 'status', 'agent_card', 'url', 'parent_id', 'active_tasks'],
    ...['max_concurrent_tasks', 'last_error_rate', 'uptime_seconds', 'runtime', 'x', 'y'],
    'collapsed',
  ]
  const STARRED = [
    ...['last_sample_error', 'current_task', 'workspace_dir', 'budget_limit', 'monthly_spend'],
  ]

  it('are all in the list, and the single reading has no starred one', async () => {
    const own = await platform.onlineWorkspace(BOX)
    const inList = Object.keys(await listed(own.id))
    expect(inList).toEqual(expect.arrayContaining([...EVERYWHERE, ...STARRED]))
    expect(inList).not.toContain('last_outbound_at')
    for (const as of [null, own.authToken, undefined]) {
      const answer = await platform.request(`/workspaces/${own.id}`, as === undefined ? {} : { as })
      const keys = Object.keys((await answer.json()) as Json)
      expect(keys).toEqual(expect.arrayContaining(EVERYWHERE))
      expect(keys.filter((key) => STARRED.includes(key))).toEqual([])
      expect(keys.includes('last_outbound_at')).toBe(as !== null)
    }
  })

  it('tell a stranger neither where it is nor what it says of itself (wart W16)', async () => {
    const own = await platform.onlineWorkspace(BOX)
    const answer = await platform.request(`/workspaces/${own.id}`, { as: null })
    expect(await answer.json()).toMatchObject({ url: null, agent_card: null })
    await platform.request(`/workspaces/${own.id}`, { method: 'DELETE' })
    expect((await platform.request(`/workspaces/${own.id}`, { as: null })).status).toBe(404)
  })
})
