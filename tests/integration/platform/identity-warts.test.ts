/** Holes that others had (contract/platform 12): each is named, and tried from outside. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'

const BOX = 'http://127.0.0.1:9'

let platform: PlatformHarness
let own: OnlineWorkspace
/** Neither above, below nor beside `own`. */
let unrelated: OnlineWorkspace
beforeAll(async () => {
  platform = await startPlatformHarness()
  own = await platform.onlineWorkspace(BOX)
  const root = await platform.onlineWorkspace(BOX)
  const child = await platform.onlineWorkspace(BOX, { parent_id: root.id })
  unrelated = await platform.onlineWorkspace(BOX, { parent_id: child.id })
})
afterAll(() => platform.stop())

const rowOf = async (id: string) => {
  const [row] = await platform.client.sql`
    SELECT status::text, updated_at, (SELECT count(*)::int FROM workspace_auth_tokens t
      WHERE t.workspace_id = w.id AND t.revoked_at IS NULL) AS tokens
      FROM workspaces w WHERE id = ${id}`
  return row
}

/** Status and body without the name of the request. */
async function told(asked: Promise<Response>): Promise<[number, string]> {
  const answer = await asked
  return [answer.status, (await answer.text()).replace(/"request_id":"[^"]*"/g, '')]
}

const register = (id: string, as: string | null) =>
  platform.json('/registry/register', { id, url: 'http://evil.example', agent_card: {} }, as)
const beat = (id: string, as: string | null) =>
  platform.json('/registry/heartbeat', { workspace_id: id }, as)
const message = (id: string, as: string | null, headers: Record<string, string> = {}) =>
  platform.request(`/workspaces/${id}/a2a`, {
    method: 'POST',
    as,
    headers: { 'content-type': 'application/json', ...headers },
    body: '{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"x"}}',
  })

describe('W12: what is gone, unknown or at rest', () => {
  it('is not brought back by a registration or a beat, with whatever token', async () => {
    const gone = await platform.onlineWorkspace(BOX)
    await platform.request(`/workspaces/${gone.id}`, { method: 'DELETE' })
    const before = await rowOf(gone.id)
    for (const as of [null, gone.authToken, own.authToken]) {
      expect((await register(gone.id, as)).status).toBe(401)
      expect((await beat(gone.id, as)).status).toBe(401)
    }
    expect(await rowOf(gone.id)).toEqual(before)
    expect(before).toMatchObject({ status: 'removed', tokens: 0 })
  })

  it('is not created by whoever names it', async () => {
    const id = randomUUID()
    expect((await register(id, null)).status).toBe(401)
    expect((await register(id, own.authToken)).status).toBe(401)
    expect(await rowOf(id)).toBeUndefined()
  })
})

describe('W13: a workspace without a live token', () => {
  it('is nobody’s who only knows its id, and hands out no secret', async () => {
    const bare = await platform.onlineWorkspace(BOX)
    await platform.client.sql`
      UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${bare.id}`
    for (const as of [null, bare.authToken, 'x'.repeat(43)]) {
      for (const asked of [register(bare.id, as), beat(bare.id, as)]) {
        const [status, text] = await told(asked)
        expect(status).toBe(401)
        expect(text).not.toMatch(/auth_token"|platform_inbound_secret/)
      }
    }
    expect(await rowOf(bare.id)).toMatchObject({ tokens: 0 })
  })
})

describe('W15: a message', () => {
  it('comes from nobody without a live bearer, whatever its headers claim', async () => {
    const ended = await platform.onlineWorkspace(BOX)
    await platform.client.sql`
      UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${ended.id}`
    const claims: Record<string, string>[] = [
      {},
      { 'x-workspace-id': own.id },
      { 'x-workspace-id': '' },
      { origin: platform.url, referer: `${platform.url}/` },
    ]
    for (const headers of claims) {
      for (const as of [null, ended.authToken, 'x'.repeat(43)]) {
        expect((await message(own.id, as, headers)).status).toBe(401)
      }
    }
    for (const name of ['webhook:github', 'system:x', 'test:x', 'channel:x']) {
      const claimed = await message(own.id, own.authToken, { 'x-workspace-id': name })
      expect(claimed.status).toBe(403)
    }
  })

  it('to an unrelated workspace looks like one to none', async () => {
    const refused = await told(message(unrelated.id, own.authToken))
    expect(refused[0]).toBe(403)
    expect(await told(message(randomUUID(), own.authToken))).toEqual(refused)
  })
})

describe('W16: what is open to everybody', () => {
  it('tells a stranger neither where a workspace is nor that it was once there', async () => {
    const [status, text] = await told(platform.request(`/workspaces/${own.id}`, { as: null }))
    expect(status).toBe(200)
    expect(JSON.parse(text)).toMatchObject({ url: null, agent_card: null })
    const gone = await platform.onlineWorkspace(BOX)
    await platform.request(`/workspaces/${gone.id}`, { method: 'DELETE' })
    const none = await told(platform.request(`/workspaces/${randomUUID()}`, { as: null }))
    expect(none[0]).toBe(404)
    expect(await told(platform.request(`/workspaces/${gone.id}`, { as: null }))).toEqual(none)
    expect(await told(platform.request(`/workspaces/${gone.id}`, { as: gone.authToken }))).toEqual(
      none,
    )
  })
})
