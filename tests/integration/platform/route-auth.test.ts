/** Every route of the running app, with every kind of credential (H41). */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ADMIN_TOKEN,
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'
import { ROUTES, type Row, rowOf } from '../../support/route-table.ts'
import { IDENTITIES, type Identity, verdictOf } from '../../support/route-verdicts.ts'
import { type SessionServer, startSessionServer } from '../../support/session-server.ts'
import { startWorkspaceServer, type WorkspaceServer } from '../../support/workspace-server.ts'

let platform: PlatformHarness
let box: WorkspaceServer
let sessions: SessionServer
let own: OnlineWorkspace
let foreign: OnlineWorkspace
let removed: OnlineWorkspace
type Credential = Readonly<Record<string, string>>
const bearer = (token: string): Credential => ({ authorization: `Bearer ${token}` })
/** The headers that each identity sends; several ways of `malformed`. */
let headers: Readonly<Record<Identity, readonly Credential[]>>

beforeAll(async () => {
  sessions = await startSessionServer()
  sessions.members.set('sid=member', 'user-1')
  platform = await startPlatformHarness({
    MOLECULE_ENABLE_TEST_TOKENS: '1',
    CP_UPSTREAM_URL: sessions.url,
    MOLECULE_ORG_SLUG: 'acme',
  })
  box = await startWorkspaceServer()
  box.answer = (_, response) =>
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end('{"jsonrpc":"2.0","id":1,"result":{}}')
  own = await platform.onlineWorkspace(box.url)
  foreign = await platform.onlineWorkspace(box.url)
  removed = await platform.onlineWorkspace(box.url)
  await platform.request(`/workspaces/${removed.id}`, { method: 'DELETE' })
  // Its removal has revoked it as well: here it must be refused for the workspace's sake alone.
  await platform.client.sql`
    UPDATE workspace_auth_tokens SET revoked_at = NULL WHERE workspace_id = ${removed.id}`
  const revoked = await mint(`/workspaces/${own.id}/tokens`)
  await platform.client.sql`
    UPDATE workspace_auth_tokens SET revoked_at = now()
     WHERE prefix = ${revoked.auth_token.slice(0, 8)}`
  const org = await mint('/org/tokens')
  const revokedOrg = await mint('/org/tokens')
  await platform.request(`/org/tokens/${revokedOrg.id}`, { method: 'DELETE' })
  headers = {
    none: [{}],
    malformed: ['Bearer', 'Bearer  ', `bearer ${own.authToken}`, `Basic ${own.authToken}`].map(
      (authorization) => ({ authorization }),
    ),
    unknown: [bearer('x'.repeat(43))],
    foreign: [bearer(foreign.authToken)],
    own: [bearer(own.authToken)],
    revoked: [bearer(revoked.auth_token)],
    removed: [bearer(removed.authToken)],
    org: [bearer(org.auth_token)],
    revoked_org: [bearer(revokedOrg.auth_token)],
    admin: [bearer(ADMIN_TOKEN)],
    session: [{ cookie: 'sid=member' }],
    bad_session: [{ cookie: 'sid=stranger' }],
  }
})
afterAll(async () => {
  await platform.stop()
  await box.close()
  await sessions.close()
})

async function mint(path: string): Promise<{ id: string; auth_token: string }> {
  const answer = await platform.request(path, { method: 'POST' })
  return (await answer.json()) as { id: string; auth_token: string }
}

/** An external workspace that nobody else in this file uses. */
async function spareWorkspace(): Promise<string> {
  const answer = await platform.json('/workspaces', { name: 'spare', external: true })
  return ((await answer.json()) as { id: string }).id
}

function call(
  route: string,
  credential: Credential,
  target: { readonly id: string; readonly method?: string },
): Promise<Response> {
  const [method = '', path = ''] = route.split(' ')
  const { query, body, headers: more } = rowOf(route)
  const isWorkspace = /^\/(workspaces|admin\/workspaces|registry|a2a)\//.test(path)
  const url = path
    .replace(':id', isWorkspace ? target.id : randomUUID())
    .replace(':sessionId', '0a1b2c3')
    .replaceAll(/:\w+/g, () => randomUUID())
    .replace(/\/\*$/, '')
  return platform.request(`${url}${query ?? ''}`, {
    method: target.method ?? method,
    as: null,
    headers: {
      'content-type': 'application/json',
      ...more?.(target.id),
      ...credential,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body(target.id)) }),
  })
}

/** What is left of an answer when the name of the request is taken away. */
async function bodyOf(answer: Response): Promise<unknown> {
  const text = await answer.text()
  return JSON.parse(text, (key, value: unknown) => (key === 'request_id' ? undefined : value))
}

type Detail = { readonly '@type': string; readonly value?: unknown }
type RpcProblem = { readonly data?: unknown; readonly details?: readonly Detail[] }

/** The error object, wherever the route puts it: JSON-RPC has it in `error.data`, REST in its details. */
function problemOf(body: unknown): unknown {
  const { error } = body as { error?: RpcProblem | string }
  if (typeof error !== 'object') return body
  return error.data ?? error.details?.find((detail) => 'value' in detail)?.value
}

async function expectVerdict(
  verdict: string,
  route: string,
  { identity, credential }: { identity: Identity; credential: Credential },
): Promise<void> {
  if (verdict !== 'admitted') {
    const { id } = identity === 'removed' ? removed : own
    return expectRefusal(verdict, await call(route, credential, { id }))
  }
  const row = rowOf(route)
  if (row.isFresh !== true) {
    return expectAdmission(row, await call(route, credential, { id: own.id }))
  }
  const id = await spareWorkspace()
  const isItself = identity === 'own' && row.scope === 'workspace'
  const presented = isItself
    ? bearer((await mint(`/workspaces/${id}/tokens`)).auth_token)
    : credential
  return expectAdmission(row, await call(route, presented, { id }))
}

async function expectAdmission(row: Row, answer: Response): Promise<void> {
  expect([401, 403, 429, 500]).not.toContain(answer.status)
  if (row.answers !== undefined) expect(answer.status).toBe(row.answers)
  if (row.isEndless === true) await answer.body?.cancel()
  else await answer.text()
}

async function expectRefusal(code: string, answer: Response): Promise<void> {
  expect(answer.status).toBe(401)
  const problem = { code, hop: 'platform', retryable: false }
  expect(problemOf(await bodyOf(answer))).toMatchObject(problem)
}

describe('the routes of the running app', () => {
  it('are exactly those of the table, each in its scope', () => {
    const served = platform.app.routes
      .filter(({ method, path }) => !(method === 'ALL' && path === '/*'))
      .map(({ method, path }) => `${method} ${path}`)
    expect([...new Set(served)].sort()).toEqual([...ROUTES.keys()].sort())
    const mounted = platform.routes.map(({ method, path, scope }) => [`${method} ${path}`, scope])
    expect(mounted.sort()).toEqual([...ROUTES].map(([route, { scope }]) => [route, scope]).sort())
    const calls = ROUTES.size * IDENTITIES.length
    process.stdout.write(`routes: ${ROUTES.size}, with identities: ${calls}\n`)
  })

  describe.each([...ROUTES.keys()])('%s', (route) => {
    const row = rowOf(route)
    const { scope } = row

    it.each(IDENTITIES)('to %s says what its scope says', async (identity) => {
      const verdict = verdictOf(row, identity)
      for (const credential of headers[identity]) {
        await expectVerdict(verdict, route, { identity, credential })
      }
    })

    it.runIf(route.includes('/:id') && scope !== 'public' && scope !== 'peer')(
      'answers a workspace alike for another one and for none',
      async () => {
        const others = await call(route, bearer(own.authToken), { id: foreign.id })
        const none = await call(route, bearer(own.authToken), { id: randomUUID() })
        expect([none.status, await bodyOf(none)]).toEqual([others.status, await bodyOf(others)])
        expect(none.status).toBe(401)
      },
    )

    it.runIf(route.startsWith('GET ') && scope !== 'public')(
      'asks who looks at its head only as well',
      async () => {
        const answer = await call(route, {}, { id: own.id, method: 'HEAD' })
        expect(answer.status).toBe(401)
      },
    )
  })

  it.each(['/registry/register', '/registry/heartbeat'])(
    'POST %s answers a workspace alike for another one and for none',
    async (path) => {
      const ask = async (id: string): Promise<unknown[]> => {
        const answer = await platform.json(
          path,
          { id, workspace_id: id, agent_card: {} },
          own.authToken,
        )
        return [answer.status, await bodyOf(answer)]
      }
      expect(await ask(randomUUID())).toEqual(await ask(foreign.id))
    },
  )

  it('answer 404 as JSON for what does not exist', async () => {
    for (const path of ['/nope', '/workspaces/x/y/z', '/registry/register']) {
      const answer = await platform.request(path)
      expect(answer.status).toBe(404)
      expect(await answer.json()).toMatchObject({ error: 'not found', code: 'not_found' })
    }
  })
})

describe('a database that cannot be asked', () => {
  const hide = (table: string) =>
    platform.client.sql.unsafe(`ALTER TABLE ${table} RENAME TO hidden_${table}`)
  const show = (table: string) =>
    platform.client.sql.unsafe(`ALTER TABLE hidden_${table} RENAME TO ${table}`)

  const guarded = [...ROUTES]
    .filter(([, { scope, gate }]) => !['public', 'self'].includes(scope) || gate === 'test_token')
    .map(([route]) => route)

  async function expectUnavailable(route: string, identity: Identity): Promise<void> {
    const answer = await call(route, headers[identity][0] ?? {}, { id: own.id })
    const text = await answer.text()
    expect([route, answer.status]).toEqual([route, 503])
    expect(problemOf(JSON.parse(text))).toMatchObject({
      error: 'platform datastore unavailable — retry shortly',
      code: 'platform_unavailable',
      retryable: true,
    })
    expect(text).not.toMatch(/auth_tokens|api_tokens/)
  }

  it.each(['workspace_auth_tokens', 'org_api_tokens'])(
    'W15, W17: is a 503 for every bearer on every guarded route, never a yes or a no: %s',
    async (table) => {
      await hide(table)
      try {
        for (const route of guarded) {
          for (const identity of ['unknown', 'own', 'org'] as const) {
            await expectUnavailable(route, identity)
          }
        }
      } finally {
        await show(table)
      }
      // A failed statement carries its parameters: here the digest of a token.
      expect(platform.logLines().join()).not.toMatch(/Failed query|params:/)
    },
  )

  it('is not asked without a bearer, nor for the admin token', async () => {
    await hide('workspace_auth_tokens')
    try {
      const path = `/workspaces/${own.id}/chat/uploads`
      expect((await platform.request(path, { method: 'POST', as: null })).status).toBe(401)
      expect((await platform.request('/workspaces')).status).toBe(200)
    } finally {
      await show('workspace_auth_tokens')
    }
  })
})
