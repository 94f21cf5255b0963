/** Cards, peers and discovery: exactly the contract's shapes, and never to a stranger. */
import { beforeAll, describe, expect, it } from 'vitest'
import { type PlatformHarness, startPlatformHarness } from '../../support/platform-harness.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform({ ATRIUM_ALLOW_LOOPBACK_AGENTS: '1' })

type Member = { readonly id: string; readonly authToken: string }

const BOX = 'http://127.0.0.1:9'
const UNKNOWN = '00000000-0000-4000-8000-000000000000'

async function external(fields: Record<string, unknown> = {}, url?: string): Promise<Member> {
  const answer = await platform.json('/workspaces', { name: 'ext', runtime: 'external', ...fields })
  const body = (await answer.json()) as { id: string; connection: { auth_token: string } }
  const authToken = body.connection.auth_token
  const card = { id: body.id, agent_card: { name: 'ext' }, ...(url === undefined ? {} : { url }) }
  await platform.json('/registry/register', card, authToken)
  return { id: body.id, authToken }
}

const discover = (target: string, as: string | null, header?: string) =>
  platform.request(`/registry/discover/${target}`, {
    as,
    headers: header === undefined ? {} : { 'x-workspace-id': header },
  })

const peers = async (of: Member, query = ''): Promise<Record<string, unknown>[]> => {
  const answer = await platform.request(`/registry/${of.id}/peers${query}`, { as: of.authToken })
  expect(answer.status).toBe(200)
  return (await answer.json()) as Record<string, unknown>[]
}

const allowed = async (a: string, b: string): Promise<unknown> => {
  const body = { caller_id: a, target_id: b }
  return (await (await platform.json('/registry/check-access', body, null)).json()) as unknown
}

let root: Member
let child: Member
let sibling: Member
let grandchild: Member
let nephew: Member

beforeAll(async () => {
  root = await platform.onlineWorkspace(BOX, { name: 'root' })
  child = await platform.onlineWorkspace(BOX, { name: 'Child', parent_id: root.id, role: 'Writer' })
  sibling = await external({ name: 'sib_ling', parent_id: root.id }, 'http://127.0.0.1:4321/x')
  grandchild = await platform.onlineWorkspace(BOX, { name: 'grandchild', parent_id: child.id })
  nephew = await platform.onlineWorkspace(BOX, { name: 'nephew', parent_id: sibling.id })
})

describe('POST /registry/check-access', () => {
  it('knows siblings, ancestors and descendants, and nobody else', async () => {
    for (const [a, b, expected] of [
      [child, sibling, true],
      [root, grandchild, true],
      [grandchild, root, true],
      [child, child, true],
      [grandchild, nephew, false],
      [child, nephew, false],
    ] as const) {
      expect(await allowed(a.id, b.id)).toEqual({ allowed: expected })
    }
  })

  it('allows nothing to what is not there, by whatever id (wart W33)', async () => {
    const removed = await external()
    await platform.request(`/workspaces/${removed.id}`, { method: 'DELETE' })
    for (const id of [UNKNOWN, removed.id, 'x', "'; DROP TABLE workspaces"]) {
      expect(await allowed(root.id, id)).toEqual({ allowed: false })
      expect(await allowed(id, id)).toEqual({ allowed: false })
    }
    const bad = await platform.json('/registry/check-access', { caller_id: root.id }, null)
    expect(bad.status).toBe(400)
  })

  it('ends where parents go in a circle', async () => {
    const [a, b, stranger] = [await external(), await external(), await external()]
    await platform.database.sql`UPDATE workspaces SET parent_id = ${b.id} WHERE id = ${a.id}`
    await platform.database.sql`UPDATE workspaces SET parent_id = ${a.id} WHERE id = ${b.id}`
    expect(await allowed(a.id, b.id)).toEqual({ allowed: true })
    expect(await allowed(a.id, stranger.id)).toEqual({ allowed: false })
    await platform.database.sql`
      UPDATE workspaces SET parent_id = NULL WHERE id IN (${a.id}, ${b.id})`
  })
})

describe('GET /registry/:id/peers', () => {
  it('lists siblings, children and the parent, each with exactly these keys', async () => {
    const found = await peers(child)
    expect(found.map((peer) => peer['id'])).toEqual([root.id, sibling.id, grandchild.id])
    expect(found[1]).toEqual({
      id: sibling.id,
      name: 'sib_ling',
      role: null,
      tier: 3,
      status: 'online',
      url: 'http://127.0.0.1:4321/x',
      parent_id: root.id,
      active_tasks: 0,
      agent_card: { name: 'ext' },
    })
  })

  it('is empty and never null for one that has none', async () => {
    const lonely = await external({ parent_id: nephew.id })
    expect((await peers(lonely)).map((peer) => peer['id'])).toEqual([nephew.id])
    expect(await peers(lonely, '?q=nobody')).toEqual([])
    await platform.request(`/workspaces/${lonely.id}`, { method: 'DELETE' })
  })

  it.each([
    ['?q=WRIT', ['Child']],
    ['?q=child', ['Child']],
    ['?q=', ['Child', 'sib_ling']],
    ['?q=%25', []],
    ['?q=b_l', ['sib_ling']],
    ['?q=o_t', []],
    ['?q=%27%3B', []],
  ])(
    'finds %s in names and roles, and does not mind a role that is null (wart W33)',
    async (query, names) => {
      const found = (await peers(root, query)).map((peer) => peer['name'])
      // Roots of other tests are siblings of this one.
      const family = found.filter((name) => ['Child', 'sib_ling'].includes(String(name)))
      expect(family).toEqual(names)
    },
  )

  it('refuses a search that no text can contain, and an id that is none', async () => {
    expect((await platform.request(`/registry/${root.id}/peers?q=%00`)).status).toBe(400)
    expect((await platform.request('/registry/x/peers')).status).toBe(400)
    expect((await platform.request('/registry/x/peers', { as: root.authToken })).status).toBe(401)
    const gone = await platform.request(`/registry/${UNKNOWN}/peers`)
    expect([gone.status, await gone.json()]).toMatchObject([404, { error: 'workspace not found' }])
  })
})

describe('GET /registry/discover/:id', () => {
  it('needs to know for whom, and believes no more than the bearer says', async () => {
    const bare = await discover(root.id, child.authToken)
    expect([bare.status, await bare.json()]).toMatchObject([
      400,
      { error: 'X-Workspace-ID header is required' },
    ])
    for (const [as, header, error] of [
      [null, child.id, 'missing workspace auth token'],
      ['nonsense', child.id, 'invalid workspace auth token'],
      [child.authToken, grandchild.id, 'invalid workspace auth token'],
      [child.authToken, 'x', 'invalid workspace auth token'],
    ] as const) {
      const answer = await discover(root.id, as, header)
      expect([answer.status, await answer.json()]).toMatchObject([401, { error }])
    }
  })

  it('gives the address of one that may be known', async () => {
    const answer = await discover(root.id, child.authToken, child.id)
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { id: root.id, url: BOX.concat('/'), name: 'root' },
    ])
    const byOperator = await platform.request(`/registry/discover/${root.id}`, {
      headers: { 'x-workspace-id': child.id },
    })
    expect(byOperator.status).toBe(200)
  })

  it('answers for an unknown, a removed and a distant one in the same words', async () => {
    const removed = await external()
    await platform.request(`/workspaces/${removed.id}`, { method: 'DELETE' })
    const bodies: unknown[] = []
    for (const target of [UNKNOWN, removed.id, nephew.id, 'not-an-id']) {
      const answer = await discover(target, grandchild.authToken, grandchild.id)
      const { request_id: _, ...body } = (await answer.json()) as Record<string, unknown>
      bodies.push([answer.status, body])
    }
    expect(bodies[0]).toMatchObject([403, { error: 'not authorized to discover this workspace' }])
    for (const body of bodies) expect(body).toEqual(bodies[0])
  })

  it("says an external agent's loopback as its asker can reach it", async () => {
    const url = async (as: Member) =>
      ((await (await discover(sibling.id, as.authToken, as.id)).json()) as { url: string }).url
    expect(await url(child)).toBe('http://127.0.0.1:4321/x')
    await platform.database.sql`
      UPDATE workspaces SET isolation = 'container' WHERE id IN (${child.id}, ${root.id})`
    expect(await url(child)).toBe('http://host.docker.internal:4321/x')
    const other = await discover(root.id, child.authToken, child.id)
    expect(await other.json()).toMatchObject({ url: `http://ws-${root.id.slice(0, 12)}:8000` })
    await platform.database.sql`
      UPDATE workspaces SET isolation = 'process' WHERE id IN (${child.id}, ${root.id})`
    const outside = await external({ parent_id: root.id })
    expect(await url(outside)).toBe('http://127.0.0.1:4321/x')
    await platform.request(`/workspaces/${outside.id}`, { method: 'DELETE' })
  })

  it('gives no address of a box that is not up', async () => {
    const resting = await platform.onlineWorkspace(BOX, { name: 'resting', parent_id: root.id })
    await platform.database.sql`UPDATE workspaces SET status = 'paused' WHERE id = ${resting.id}`
    const answer = await discover(resting.id, root.authToken, root.id)
    expect([answer.status, await answer.json()]).toMatchObject([
      503,
      { error: 'workspace not available', status: 'paused' },
    ])
    await platform.request(`/workspaces/${resting.id}`, { method: 'DELETE' })
  })

  it('gives no address that may not be reached any more', async () => {
    await platform.database.sql`
      UPDATE workspaces SET agent_url = 'http://169.254.169.254/' WHERE id = ${sibling.id}`
    const answer = await discover(sibling.id, child.authToken, child.id)
    expect([answer.status, await answer.json()]).toMatchObject([
      503,
      { error: 'workspace URL failed safety check' },
    ])
    await platform.database.sql`UPDATE workspaces SET agent_url = NULL WHERE id = ${sibling.id}`
    const none = await discover(sibling.id, child.authToken, child.id)
    expect([none.status, await none.json()]).toMatchObject([
      503,
      { error: 'workspace not available', status: 'online' },
    ])
  })

  it('lets nobody in when the tokens cannot be read (wart W15)', async () => {
    await platform.database.sql`ALTER TABLE workspace_auth_tokens RENAME TO hidden_tokens`
    try {
      expect((await discover(root.id, child.authToken, child.id)).status).toBe(503)
      const list = await platform.request(`/registry/${child.id}/peers`, { as: child.authToken })
      expect(list.status).toBe(503)
    } finally {
      await platform.database.sql`ALTER TABLE hidden_tokens RENAME TO workspace_auth_tokens`
    }
  })
})

describe('POST /registry/update-card', () => {
  const update = (on: PlatformHarness, body: unknown, as: string | null) =>
    on.json('/registry/update-card', body, as)

  it('replaces the card and tells of it', async () => {
    const body = { workspace_id: child.id, agent_card: { name: 'new\u0000 card', skills: [] } }
    const refused = await update(platform, body, child.authToken)
    expect([refused.status, await refused.json()]).toMatchObject([
      400,
      { error: 'invalid request body' },
    ])
    const card = { name: 'new card' }
    const answer = await update(platform, { ...body, agent_card: card }, child.authToken)
    expect([answer.status, await answer.json()]).toEqual([200, { status: 'updated' }])
    const rows = await platform.database.sql`
      SELECT agent_card FROM workspaces WHERE id = ${child.id}`
    expect(rows[0]?.['agent_card']).toEqual(card)
    const events = await platform.database.sql`
      SELECT payload FROM structure_events
       WHERE workspace_id = ${child.id} AND event_type = 'AGENT_CARD_UPDATED'`
    expect(events.map((event) => event['payload'])).toEqual([{ agent_card: card }])
  })

  it('takes the own token of a workspace that is there, and no other', async () => {
    const removed = await external()
    await platform.request(`/workspaces/${removed.id}`, { method: 'DELETE' })
    for (const [id, as, error] of [
      [child.id, null, 'missing workspace auth token'],
      [child.id, root.authToken, 'invalid workspace auth token'],
      [removed.id, removed.authToken, 'invalid workspace auth token'],
      [UNKNOWN, root.authToken, 'invalid workspace auth token'],
    ] as const) {
      const answer = await update(platform, { workspace_id: id, agent_card: {} }, as)
      expect([answer.status, await answer.json()]).toMatchObject([401, { error }])
    }
    for (const body of [
      { workspace_id: child.id },
      { agent_card: {} },
      { workspace_id: 'x', agent_card: {} },
    ]) {
      expect((await update(platform, body, child.authToken)).status).toBe(400)
    }
  })

  it('says opaquely that the database refused', async () => {
    await platform.database.sql.unsafe(`
      CREATE FUNCTION refuse_card() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'internal detail'; END $$;
      CREATE TRIGGER refuse_card BEFORE UPDATE OF agent_card ON workspaces
        FOR EACH ROW EXECUTE FUNCTION refuse_card();`)
    try {
      const answer = await update(
        platform,
        { workspace_id: child.id, agent_card: {} },
        child.authToken,
      )
      expect(answer.status).toBe(500)
      const text = await answer.text()
      expect(JSON.parse(text)).toMatchObject({ error: 'failed to update card' })
      expect(text).not.toContain('internal detail')
    } finally {
      await platform.database.sql.unsafe(
        'DROP TRIGGER refuse_card ON workspaces; DROP FUNCTION refuse_card();',
      )
    }
  })
})

describe('in open development', () => {
  it('whoever is on this machine may discover and list (contract/platform 2.5)', async () => {
    const development = await startPlatformHarness({ ATRIUM_MODE: 'development', ADMIN_TOKEN: '' })
    try {
      const created = await development.json('/workspaces', { name: 'a', external: true }, null)
      const { id } = (await created.json()) as { id: string }
      const list = await development.request(`/registry/${id}/peers`, { as: null })
      expect([list.status, await list.json()]).toEqual([200, []])
    } finally {
      await development.stop()
    }
  })
})
