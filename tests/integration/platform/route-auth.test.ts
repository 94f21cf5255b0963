/** Every route of the running app, with every kind of credential (H41). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ADMIN_TOKEN,
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'
import { startWorkspaceServer, type WorkspaceServer } from '../../support/workspace-server.ts'

let platform: PlatformHarness
let box: WorkspaceServer
let own: OnlineWorkspace
let foreign: OnlineWorkspace
let revoked: OnlineWorkspace
let removed: OnlineWorkspace

beforeAll(async () => {
  platform = await startPlatformHarness()
  box = await startWorkspaceServer()
  box.answer = (_, response) =>
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end('{"jsonrpc":"2.0","id":1,"result":{}}')
  own = await platform.onlineWorkspace(box.url)
  foreign = await platform.onlineWorkspace(box.url)
  revoked = await platform.onlineWorkspace(box.url)
  removed = await platform.onlineWorkspace(box.url)
  await platform.client.sql`
    UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${revoked.id}`
  await platform.request(`/workspaces/${removed.id}`, { method: 'DELETE' })
})
afterAll(async () => {
  await platform.stop()
  await box.close()
})

/** The table: a route that is not in it fails the first test. */
type RouteRow = {
  scope: string
  body?: () => unknown
  query?: string
  /** Changes what the others need: it gets a workspace of its own. */
  isFresh?: boolean
}
const ROUTES: Readonly<Record<string, RouteRow>> = {
  'GET /health': { scope: 'public' },
  'GET /ready': { scope: 'public' },
  'GET /workspaces/:id': { scope: 'public' },
  'GET /admin/workspaces/:id/test-token': { scope: 'self' },
  'POST /registry/register': { scope: 'self', body: () => ({ id: own.id, agent_card: {} }) },
  'POST /registry/heartbeat': { scope: 'self', body: () => ({ workspace_id: own.id }) },
  'POST /workspaces/:id/chat/uploads': { scope: 'workspace', body: () => ({}) },
  'GET /workspaces/:id/chat/download': { scope: 'workspace', query: '?path=/workspace/a' },
  'GET /workspaces/:id/activity': { scope: 'workspace' },
  'POST /workspaces/:id/activity': {
    scope: 'workspace',
    body: () => ({ activity_type: 'agent_log' }),
  },
  'POST /workspaces/:id/notify': { scope: 'workspace', body: () => ({ message: 'done' }) },
  'POST /workspaces/:id/a2a': {
    scope: 'peer',
    body: () => ({ jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { id: 'x' } }),
  },
  'POST /workspaces/:id/restart': { scope: 'workspace', isFresh: true },
  'POST /workspaces/:id/pause': { scope: 'workspace', isFresh: true },
  'POST /workspaces/:id/resume': { scope: 'workspace', isFresh: true },
  'POST /workspaces/:id/hibernate': { scope: 'workspace', isFresh: true },
  'POST /workspaces/:id/wake': { scope: 'workspace', isFresh: true },
  'GET /workspaces': { scope: 'admin' },
  'POST /workspaces': { scope: 'admin', body: () => ({ name: 'x', external: true }) },
  'GET /workspaces/:id/console': { scope: 'admin' },
  'GET /admin/audit': { scope: 'admin' },
  'DELETE /workspaces/:id': { scope: 'admin' },
}

type Identity = 'none' | 'wrong' | 'foreign' | 'revoked' | 'removed' | 'own' | 'admin'
const IDENTITIES: readonly Identity[] = [
  'none',
  'wrong',
  'foreign',
  'revoked',
  'removed',
  'own',
  'admin',
]

function credential(identity: Identity): string | null {
  switch (identity) {
    case 'none':
      return null
    case 'wrong':
      return 'x'.repeat(43)
    case 'foreign':
      return foreign.authToken
    case 'revoked':
      return revoked.authToken
    case 'removed':
      return removed.authToken
    case 'own':
      return own.authToken
    case 'admin':
      return ADMIN_TOKEN
  }
}

function isAdmitted(scope: string, route: string, identity: Identity): boolean {
  if (scope === 'public') return true
  if (scope === 'admin') return identity === 'admin'
  // The other workspace is its sibling.
  if (scope === 'peer') return identity === 'foreign' || isAdmitted('workspace', route, identity)
  if (scope === 'workspace') return identity === 'own' || identity === 'admin'
  // The registry takes the workspace's own token only; the test token exists in development only.
  return route.startsWith('POST /registry') && identity === 'own'
}

const REFUSALS: ReadonlySet<number> = new Set([401, 403])

function entryOf(route: string): (typeof ROUTES)[string] {
  return ROUTES[route] ?? { scope: 'missing' }
}

/** In production the test-token route says that it does not exist. */
function isHidden(route: string, status: number): boolean {
  return route.includes('test-token') && status === 404
}

function call(route: string, identity: Identity): Promise<Response> {
  const [method = '', path = ''] = route.split(' ')
  const { query, body } = entryOf(route)
  const target = method === 'DELETE' && identity === 'admin' ? foreign.id : own.id
  return platform.request(`${path.replace(':id', target)}${query ?? ''}`, {
    method,
    as: credential(identity),
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body()) }),
  })
}

describe('the routes of the running app', () => {
  it('are exactly those of the table, each in its scope', () => {
    const mounted = platform.routes.map((route) => [`${route.method} ${route.path}`, route.scope])
    const listed = Object.entries(ROUTES).map(([route, { scope }]) => [route, scope])
    expect(mounted.sort()).toEqual(listed.sort())
  })

  it.each(Object.keys(ROUTES))('%s admits whom its scope names and nobody else', async (route) => {
    const { scope, isFresh } = entryOf(route)
    if (isFresh === true) own = await platform.onlineWorkspace(box.url)
    // The operator comes last, so that a DELETE finds the workspace for everybody before.
    for (const identity of IDENTITIES) {
      const answer = await call(route, identity)
      const isRefused = REFUSALS.has(answer.status) || isHidden(route, answer.status)
      expect([identity, !isRefused]).toEqual([identity, isAdmitted(scope, route, identity)])
      const refusal = expect.objectContaining({ hop: 'platform', retryable: false })
      expect(isRefused ? await answer.json() : refusal).toEqual(refusal)
    }
  })

  it('answer 404 as JSON for what does not exist', async () => {
    for (const path of ['/nope', '/workspaces/x/y/z', '/registry/register']) {
      const answer = await platform.request(path)
      expect(answer.status).toBe(404)
      expect(await answer.json()).toMatchObject({ error: 'not found', code: 'not_found' })
    }
  })

  it('touch no database for a request without a bearer', async () => {
    await platform.client.sql`ALTER TABLE workspace_auth_tokens RENAME TO hidden_tokens`
    try {
      const answer = await platform.request(`/workspaces/${own.id}/chat/uploads`, {
        method: 'POST',
        as: null,
      })
      expect(answer.status).toBe(401)
      const broken = await platform.request(`/workspaces/${own.id}/chat/uploads`, {
        method: 'POST',
        as: own.authToken,
      })
      expect(broken.status).toBe(503)
      const text = await broken.text()
      expect(JSON.parse(text)).toMatchObject({
        error: 'platform datastore unavailable — retry shortly',
        code: 'platform_unavailable',
        retryable: true,
      })
      expect(text).not.toContain('workspace_auth_tokens')
      // A failed statement carries its parameters: here the digest of a token.
      expect(platform.logLines().join()).not.toMatch(/Failed query|params:/)
    } finally {
      await platform.client.sql`ALTER TABLE hidden_tokens RENAME TO workspace_auth_tokens`
    }
  })
})

describe('the last use of a token', () => {
  const lastUse = async (id: string): Promise<unknown> => {
    const rows = await platform.client.sql`
      SELECT last_used_at FROM workspace_auth_tokens WHERE workspace_id = ${id}`
    return rows[0]?.['last_used_at']
  }

  it('is noted, and not again within a minute', async () => {
    const { id, authToken } = await platform.onlineWorkspace(box.url)
    const path = `/workspaces/${id}/chat/download?path=/workspace/a`
    await platform.request(path, { as: authToken })
    const first = await lastUse(id)
    expect(first).toEqual(expect.any(String))
    await platform.request(path, { as: authToken })
    expect(await lastUse(id)).toEqual(first)
    await platform.client.sql`
      UPDATE workspace_auth_tokens SET last_used_at = now() - interval '2 minutes'
       WHERE workspace_id = ${id}`
    await platform.request(path, { as: authToken })
    expect(await lastUse(id)).not.toEqual(first)
  })
})
