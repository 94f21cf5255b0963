import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type PlatformHarness, startPlatformHarness } from '../../support/platform-harness.ts'

type Member = { readonly id: string; readonly name: string; readonly role: string | null }

let platform: PlatformHarness
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'atrium-teams-'))
  put(
    'lead',
    'name: Data Lead\nruntime: echo\nsub_workspaces:\n  - config: digger\n    name: Digger\n    role: digs\n  - config: lead\n    name: Second\n  - name: Plain\n',
  )
  put('digger', 'runtime: exec\nmodel: m-1\nrole: of the template\n')
  put('solo', 'runtime: echo\n')
  put('broken-team', 'sub_workspaces: [{ config: digger, name: One }, { config: missing }]\n')
  platform = await startPlatformHarness({ CONFIGS_DIR: folder })
})
afterAll(async () => {
  await platform.stop()
  rmSync(folder, { recursive: true })
})

function put(name: string, config: string): void {
  mkdirSync(join(folder, name))
  writeFileSync(join(folder, name, 'config.yaml'), config)
}

async function create(fields: Record<string, unknown>): Promise<string> {
  const answer = await platform.json('/workspaces', { runtime: 'echo', ...fields })
  expect(answer.status).toBe(201)
  return ((await answer.json()) as { id: string }).id
}

async function expand(id: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await platform.json(`/workspaces/${id}/expand`, {})
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

async function expanded(id: string): Promise<readonly Member[]> {
  const { status, body } = await expand(id)
  expect([status, body['status']]).toEqual([200, 'expanded'])
  return body['children'] as readonly Member[]
}

async function rows(): Promise<readonly Record<string, unknown>[]> {
  return (await (await platform.request('/workspaces')).json()) as Record<string, unknown>[]
}

function started(id: string) {
  return eventually(() => platform.provisioner.starts.find((start) => start.workspaceId === id))
}

async function events(id: string): Promise<readonly { type: string; payload: unknown }[]> {
  return platform.database.sql<{ type: string; payload: unknown }[]>`
    SELECT event_type AS type, payload FROM structure_events WHERE workspace_id = ${id} ORDER BY id`
}

describe('POST /workspaces/:id/expand', () => {
  it('makes the members of its template, with its rights, as any other workspace is made', async () => {
    const id = await create({ name: 'team', template: 'lead', tier: 2 })
    const members = await expanded(id)
    expect(members).toEqual([
      { id: expect.any(String), name: 'Digger', role: 'digs' },
      { id: expect.any(String), name: 'Second', role: null },
      { id: expect.any(String), name: 'Plain', role: null },
    ])
    const starts = await Promise.all(members.map((member) => started(member.id)))
    expect(starts.map(({ runtimeKind }) => runtimeKind)).toEqual(['exec', 'echo', 'echo'])
    for (const { tier, env, credentials } of starts) {
      expect([tier, env['PARENT_ID'], env['TIER']]).toEqual([2, id, '2'])
      expect(credentials.authToken.reveal()).not.toBe('')
    }
    const made = (await rows()).filter((row) => row['parent_id'] === id)
    expect(made.map((row) => row['tier'])).toEqual([2, 2, 2])
  })

  it('tells of it', async () => {
    const id = await create({ name: 'told', template: 'lead', tier: 1 })
    const children = await expanded(id)
    expect((await events(id)).at(-1)).toEqual({ type: 'WORKSPACE_EXPANDED', payload: { children } })
    const [first] = await events(children[0]?.id ?? '')
    expect(first).toEqual({
      type: 'WORKSPACE_PROVISIONING',
      payload: { name: 'Digger', tier: 1, parent_id: id },
    })
  })

  it('makes nobody twice', async () => {
    const id = await create({ name: 'repeated', template: 'lead' })
    const [first, again] = [await expanded(id), await expanded(id)]
    expect(again).toEqual(first)
    const together = await create({ name: 'at once', template: 'lead' })
    await Promise.all([expanded(together), expanded(together)])
    expect((await rows()).filter((row) => row['parent_id'] === together)).toHaveLength(3)
  })

  it('finds the template by its name, and by the name in its config.yaml', async () => {
    expect(await expanded(await create({ name: 'Lead' }))).toHaveLength(3)
    expect(await expanded(await create({ name: 'Data Lead' }))).toHaveLength(3)
  })

  it('takes what the workspace itself was created with before any template', async () => {
    const own = { sub_workspaces: [{ name: 'Mine', role: 'all of it' }] }
    const id = await create({ name: 'Lead', runtime_config: own })
    expect(await expanded(id)).toMatchObject([{ name: 'Mine', role: 'all of it' }])
  })

  const refused: readonly (readonly [string, () => Promise<string>, number, string])[] = [
    [
      'nobody knows',
      async () => '00000000-0000-4000-8000-000000000000',
      404,
      'workspace not found',
    ],
    [
      'without a config',
      () => create({ name: 'unheard of' }),
      400,
      'no config found for workspace',
    ],
    [
      'alone in its config',
      () => create({ name: 'x', template: 'solo' }),
      400,
      'workspace has no sub_workspaces defined in config',
    ],
    [
      'whose team cannot be made',
      () => create({ name: 'x', template: 'broken-team' }),
      500,
      'a sub_workspace in the config cannot be made',
    ],
  ]
  it.each(refused)('refuses one %s, and makes nobody', async (_, make, status, error) => {
    const id = await make()
    expect(await expand(id)).toMatchObject({ status, body: { error } })
    expect((await rows()).filter((row) => row['parent_id'] === id)).toEqual([])
  })
})

describe('POST /workspaces/:id/collapse', () => {
  async function collapse(id: string): Promise<unknown> {
    const answer = await platform.json(`/workspaces/${id}/collapse`, {})
    expect(answer.status).toBe(200)
    return answer.json()
  }

  it('removes the children with everything below them: boxes, volumes, tokens', async () => {
    const id = await create({ name: 'collapsing', template: 'lead' })
    const [digger, second] = await expanded(id)
    const below = await expanded(second?.id ?? '')
    const grandchild = below[0]?.id ?? ''
    const { credentials } = await started(grandchild)
    expect(await collapse(id)).toEqual({
      status: 'collapsed',
      removed: ['Digger', 'Second', 'Plain'],
    })
    for (const gone of [digger?.id ?? '', grandchild]) {
      expect((await platform.request(`/workspaces/${gone}`)).status).toBe(404)
      expect(platform.provisioner.removedVolumes).toContain(gone)
    }
    const as = credentials.authToken.reveal()
    expect((await platform.request(`/workspaces/${grandchild}/activity`, { as })).status).toBe(401)
    expect((await platform.request(`/workspaces/${id}`)).status).toBe(200)
    expect((await events(id)).at(-1)).toEqual({
      type: 'WORKSPACE_COLLAPSED',
      payload: { removed: ['Digger', 'Second', 'Plain'] },
    })
  })

  it('calls off the starts of children that have only begun', async () => {
    const { endpoint } = platform.provisioner
    const id = await create({ name: 'too early', template: 'lead' })
    await started(id)
    platform.provisioner.endpoint = () => Promise.withResolvers<string>().promise
    const members = await expanded(id)
    await Promise.all(members.map((member) => started(member.id)))
    expect(await collapse(id)).toMatchObject({ removed: ['Digger', 'Second', 'Plain'] })
    platform.provisioner.endpoint = endpoint
  })

  it('has nothing to do without children, and says so', async () => {
    const id = await create({ name: 'single' })
    expect(await collapse(id)).toEqual({ status: 'collapsed', removed: [] })
  })

  it('can be undone', async () => {
    const id = await create({ name: 'again', template: 'lead' })
    const before = await expanded(id)
    await collapse(id)
    const after = await expanded(id)
    expect(after.map(({ name }) => name)).toEqual(before.map(({ name }) => name))
    expect(after.map((member) => member.id)).not.toContain(before[0]?.id)
  })

  it('does not know a workspace that is gone', async () => {
    const id = '00000000-0000-4000-8000-000000000000'
    expect((await platform.json(`/workspaces/${id}/collapse`, {})).status).toBe(404)
  })
})
