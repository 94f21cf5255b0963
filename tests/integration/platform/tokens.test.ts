/** /workspaces/:id/tokens and /org/tokens (contract/platform 3.2, 3.3). */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import type { OnlineWorkspace } from '../../support/platform-harness.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

const BOX = 'http://127.0.0.1:9'

sharePlatform({ MOLECULE_ENABLE_TEST_TOKENS: '1', ATRIUM_TRUSTED_PROXIES: '127.0.0.1' })

type Listed = { readonly id: string; readonly prefix: string; readonly [key: string]: unknown }
type List = { readonly tokens: Listed[]; readonly count: number }
type Minted = { readonly id: string; readonly auth_token: string; readonly [key: string]: unknown }

const send = (method: string, path: string, as?: string) =>
  platform.request(path, { method, ...(as === undefined ? {} : { as }) })

async function bodyOf<T>(answer: Response, status: number): Promise<T> {
  const body = (await answer.json()) as T
  expect([answer.status, body]).toEqual([status, body])
  return body
}

const listOf = async (id: string, query = ''): Promise<List> =>
  bodyOf<List>(await send('GET', `/workspaces/${id}/tokens${query}`), 200)

const mint = async (id: string, as?: string): Promise<Minted> =>
  bodyOf<Minted>(await send('POST', `/workspaces/${id}/tokens`, as), 201)

describe('the tokens of a workspace', () => {
  let own: OnlineWorkspace
  beforeAll(async () => {
    own = await platform.onlineWorkspace(BOX)
  })

  it('are minted by the workspace or an operator, shown once, and open that workspace', async () => {
    const answer = await send('POST', `/workspaces/${own.id}/tokens`, own.authToken)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const minted = await bodyOf<Minted>(answer, 201)
    expect(minted).toEqual({
      auth_token: expect.stringMatching(/^[\w-]{43}$/),
      workspace_id: own.id,
      message: expect.any(String),
    })
    expect((await send('GET', `/workspaces/${own.id}/tokens`, minted.auth_token)).status).toBe(200)
    const [row] = await platform.client.sql`
      SELECT purpose, prefix, octet_length(token_hash) AS bytes FROM workspace_auth_tokens
       WHERE prefix = ${minted.auth_token.slice(0, 8)}`
    expect(row).toEqual({ purpose: 'user', prefix: minted.auth_token.slice(0, 8), bytes: 32 })
  })

  it('are listed newest first, in pages, without a revoked one', async () => {
    const { id } = await platform.onlineWorkspace(BOX)
    const prefixes: string[] = []
    for (let round = 0; round < 3; round += 1) {
      prefixes.unshift((await mint(id)).auth_token.slice(0, 8))
    }
    const all = await listOf(id)
    expect(all.count).toBe(4)
    expect(all.tokens.map(({ prefix }) => prefix).slice(0, 3)).toEqual(prefixes)
    expect(all.tokens[0]).toEqual({
      id: expect.any(String),
      prefix: prefixes[0],
      created_at: expect.stringMatching(/Z$/),
      last_used_at: null,
    })
    const second = await listOf(id, '?limit=1&offset=1')
    expect(second).toEqual({ tokens: [all.tokens[1]], count: 1 })
    await send('DELETE', `/workspaces/${id}/tokens/${all.tokens[0]?.id}`)
    expect((await listOf(id, '?limit=1000')).tokens.map(({ id: token }) => token)).toEqual(
      all.tokens.slice(1).map(({ id: token }) => token),
    )
  })

  it.each(['limit=0', 'limit=x', 'offset=-1', 'offset=9999999999'])('refuse ?%s', async (query) => {
    const answer = await send('GET', `/workspaces/${own.id}/tokens?${query}`)
    expect(await bodyOf(answer, 400)).toMatchObject({ code: 'invalid_query' })
  })

  it('end at once when they are revoked, and only once', async () => {
    const { auth_token: token } = await mint(own.id)
    const listed = (await listOf(own.id)).tokens.find(({ prefix }) => token.startsWith(prefix))
    const path = `/workspaces/${own.id}/tokens/${listed?.id}`
    expect(await bodyOf(await send('DELETE', path, own.authToken), 200)).toEqual({
      status: 'revoked',
    })
    expect((await send('GET', `/workspaces/${own.id}/tokens`, token)).status).toBe(401)
    expect(await bodyOf(await send('DELETE', path), 404)).toMatchObject({
      error: 'token not found or already revoked',
      code: 'token_not_found',
    })
  })

  it('are not found below another workspace, whether they exist or not', async () => {
    const other = await platform.onlineWorkspace(BOX)
    const [theirs] = (await listOf(other.id)).tokens
    const ask = async (tokenId: string | undefined): Promise<unknown> => {
      const answer = await send('DELETE', `/workspaces/${own.id}/tokens/${tokenId}`, own.authToken)
      const { request_id: _, ...body } = await bodyOf<Record<string, unknown>>(answer, 404)
      return body
    }
    const none = await ask(randomUUID())
    expect(await ask(theirs?.id)).toEqual(none)
    expect(await ask('not-a-uuid')).toEqual(none)
    expect(await ask("'%20OR%20true--")).toEqual(none)
    expect((await listOf(other.id)).count).toBe(1)
  })

  it('are none for a workspace that is not there', async () => {
    const answer = await send('POST', `/workspaces/${randomUUID()}/tokens`)
    expect(await bodyOf(answer, 404)).toMatchObject({ code: 'workspace_not_found' })
  })

  it('W17: are fifty at most, however many ask at once and for whatever', async () => {
    const { id } = await platform.onlineWorkspace(BOX)
    await Promise.all(Array.from({ length: 44 }, () => mint(id)))
    const answers = await Promise.all([
      ...Array.from({ length: 20 }, () => send('POST', `/workspaces/${id}/tokens`)),
      ...Array.from({ length: 10 }, () => send('GET', `/admin/workspaces/${id}/test-token`)),
    ])
    const refused = answers.filter(({ status }) => status === 429)
    for (const answer of refused) {
      expect(await answer.json()).toMatchObject({
        error: 'maximum 50 active tokens per workspace',
        code: 'token_limit_reached',
      })
    }
    expect(refused).toHaveLength(25)
    expect((await listOf(id, '?limit=200')).count).toBe(50)
  })

  it('are in the audit trail, by whom and for which request', async () => {
    const minted = await send('POST', `/workspaces/${own.id}/tokens`, own.authToken)
    const requestId = minted.headers.get('x-request-id')
    const trail = await bodyOf<{ events: Record<string, unknown>[] }>(
      await send('GET', `/admin/audit?workspace_id=${own.id}&limit=1`),
      200,
    )
    expect(trail.events[0]).toMatchObject({
      action: 'workspace_token.mint',
      actor: { kind: 'workspace', id: own.id },
      detail: { purpose: 'user' },
      request_id: requestId,
    })
  })
})

describe('the tokens of the organisation', () => {
  let asked = 0
  /** Everybody may make ten an hour: these come from an address each. */
  const askForOrg = (body?: unknown, as?: string): Promise<Response> => {
    asked += 1
    return platform.request('/org/tokens', {
      method: 'POST',
      headers: { 'x-forwarded-for': `192.0.2.${asked}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(as === undefined ? {} : { as }),
    })
  }
  const mintOrg = async (body?: unknown, as?: string): Promise<Minted> =>
    bodyOf<Minted>(await askForOrg(body, as), 200)

  it('are minted with a name or without, and shown once', async () => {
    const answer = await askForOrg({ name: '  deploy bot ' })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const named = await bodyOf<Minted>(answer, 200)
    expect(named).toEqual({
      id: expect.any(String),
      prefix: named.auth_token.slice(0, 8),
      name: 'deploy bot',
      auth_token: expect.stringMatching(/^[\w-]{43}$/),
      warning: expect.any(String),
    })
    expect(Object.keys(await mintOrg())).not.toContain('name')
    const list = await bodyOf<List>(await send('GET', '/org/tokens'), 200)
    expect(list.count).toBe(list.tokens.length)
    expect(list.tokens.at(-1)).toEqual({
      id: named.id,
      prefix: named['prefix'],
      name: 'deploy bot',
      created_by: 'admin-token',
      created_at: expect.stringMatching(/Z$/),
    })
    expect(JSON.stringify(list)).not.toContain(named.auth_token)
  })

  it('open every scope, and say who made the next one', async () => {
    const first = await mintOrg()
    const second = await mintOrg({}, first.auth_token)
    const { id } = await platform.onlineWorkspace(BOX)
    for (const path of ['/workspaces', `/workspaces/${id}/tokens`, '/admin/audit']) {
      expect((await send('GET', path, second.auth_token)).status).toBe(200)
    }
    const list = await bodyOf<List>(await send('GET', '/org/tokens', second.auth_token), 200)
    expect(list.tokens.find((token) => token.id === second.id)).toMatchObject({
      created_by: `org-token:${first.auth_token.slice(0, 8)}`,
      last_used_at: expect.any(String),
    })
  })

  it('hand the organisation of their maker on', async () => {
    const anchored = await mintOrg()
    await platform.client.sql`UPDATE org_api_tokens SET org_id = 'acme' WHERE id = ${anchored.id}`
    const child = await mintOrg(undefined, anchored.auth_token)
    const list = await bodyOf<List>(await send('GET', '/org/tokens'), 200)
    expect(list.tokens.find(({ id }) => id === child.id)).toMatchObject({ org_id: 'acme' })
  })

  it.each([
    ['n'.repeat(101), 'name_too_long'],
    ['line\nbreak', 'invalid_request_body'],
    ['\u0000', 'invalid_request_body'],
    ['\u202emirrored', 'invalid_request_body'],
    [7, 'invalid_request_body'],
  ])('refuse the name %j', async (name, code) => {
    const answer = await askForOrg({ name })
    expect(await bodyOf(answer, 400)).toMatchObject({ code })
  })

  it('take a name of a hundred characters, whatever their size', async () => {
    const name = '🦀'.repeat(100)
    expect(await mintOrg({ name })).toMatchObject({ name })
  })

  it('end at once when they are revoked, and only once', async () => {
    const { id, auth_token: token } = await mintOrg()
    expect(await bodyOf(await send('DELETE', `/org/tokens/${id}`), 200)).toEqual({ revoked: id })
    expect((await send('GET', '/workspaces', token)).status).toBe(401)
    for (const gone of [id, randomUUID(), 'x']) {
      const answer = await send('DELETE', `/org/tokens/${gone}`)
      expect(await bodyOf(answer, 404)).toMatchObject({ code: 'token_not_found' })
    }
  })
})

describe('GET /admin/workspaces/:id/test-token', () => {
  it('W17: mints for nobody who only looks, and for no page that makes a browser ask', async () => {
    const { id } = await platform.onlineWorkspace(BOX)
    const path = `/admin/workspaces/${id}/test-token`
    const before = (await listOf(id)).count
    expect((await send('HEAD', path)).status).toBe(405)
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-purpose': 'prefetch' }]) {
      expect((await platform.request(path, { headers })).status).toBe(403)
    }
    expect((await listOf(id)).count).toBe(before)
    const minted = await send('POST', path)
    expect(minted.headers.get('cache-control')).toBe('no-store')
    expect(await bodyOf(minted, 200)).toMatchObject({ workspace_id: id })
    expect((await listOf(id)).count).toBe(before + 1)
  })
})
