/** Every route of the platform with its scope: what the route-by-identity test calls (H41). */

export type Scope = 'public' | 'peer' | 'workspace' | 'admin' | 'self'

type Call = {
  /** The gate of a `self` route: a key of `GATES`. */
  readonly gate?: 'registry' | 'test_token' | 'workspace' | 'public'
  /** What it is called with; `id` is the workspace in the path. */
  readonly body?: (id: string) => unknown
  readonly headers?: (id: string) => Readonly<Record<string, string>>
  readonly query?: string
  /** What who is admitted gets; anything but a refusal or a defect unless given. */
  readonly answers?: number
  /** Its answer has no end of its own. */
  readonly isEndless?: boolean
  /** The call changes what others need: everybody who is admitted gets a workspace of their own. */
  readonly isFresh?: true
}

export type Row = Call & {
  /** As it is mounted in `app.ts`. */
  readonly scope: Scope
}

const OK: Call = { answers: 200 }
const NOT_FOUND: Call = { answers: 404 }
const FRESH: Call = { isFresh: true }

/**
 * The table: a new route is one line here, and `npx vitest run tests/integration/platform/route-auth`
 * fails until it is there. Who is admitted and who is told what follows from the scope.
 */
const ROUTES_BY_SCOPE: Readonly<Record<Scope, Readonly<Record<string, Call>>>> = {
  public: {
    'GET /health': OK,
    'GET /ready': OK,
    'GET /openapi.json': OK,
    'GET /docs': OK,
    'GET /docs/style.css': OK,
    'GET /workspaces/:id': OK,
  },

  self: {
    'POST /registry/register': {
      gate: 'registry',
      body: (id) => ({ id, agent_card: {} }),
      answers: 200,
    },
    'POST /registry/heartbeat': {
      gate: 'registry',
      body: (id) => ({ workspace_id: id }),
      answers: 200,
    },
    'POST /registry/update-card': {
      gate: 'registry',
      body: (id) => ({ workspace_id: id, agent_card: {} }),
      answers: 200,
    },
    // Says yes or no about two ids and nothing else (contract/platform 2.4).
    'POST /registry/check-access': {
      gate: 'public',
      body: (id) => ({ caller_id: id, target_id: id }),
      answers: 200,
    },
    'GET /registry/discover/:id': {
      gate: 'workspace',
      headers: (id) => ({ 'x-workspace-id': id }),
      answers: 200,
    },
    'GET /registry/:id/peers': { gate: 'workspace', answers: 200 },
    'GET /admin/workspaces/:id/test-token': { gate: 'test_token', answers: 200 },
    'POST /admin/workspaces/:id/test-token': { gate: 'test_token', answers: 200 },
  },

  workspace: {
    'GET /workspaces/:id/inbound-secret': OK,
    'POST /workspaces/:id/inbound-secret/rotate': { answers: 202, isFresh: true },
    'PATCH /workspaces/:id': { body: () => ({ x: 1, y: 2 }), answers: 200 },
    'GET /workspaces/:id/state': OK,
    'POST /workspaces/:id/chat/uploads': { body: () => ({}) },
    'GET /workspaces/:id/chat/download': { query: '?path=/workspace/a' },
    'GET /workspaces/:id/files': { query: '?path=/workspace', answers: 200 },
    'GET /workspaces/:id/files/preview': { query: '?path=/workspace/a', answers: 200 },
    'GET /workspaces/:id/files/download': { query: '?path=/workspace/a', answers: 200 },
    'GET /workspaces/:id/files/archive': { query: '?path=/workspace', answers: 200 },
    'GET /workspaces/:id/sessions/:sessionId/files': OK,
    'GET /workspaces/:id/sessions/:sessionId/files/preview': OK,
    'GET /workspaces/:id/sessions/:sessionId/files/download': OK,
    'GET /workspaces/:id/activity': {},
    'POST /workspaces/:id/activity': { body: () => ({ activity_type: 'agent_log' }) },
    'POST /workspaces/:id/activity/ack': { body: () => ({ id: null }), answers: 200 },
    'GET /workspaces/:id/metrics': OK,
    'POST /workspaces/:id/notify': { body: () => ({ message: 'done' }) },
    'POST /workspaces/:id/a2a/queue/:queueId/reply': { body: () => ({ text: 'x' }), answers: 404 },
    'POST /workspaces/:id/delegate': {
      body: () => ({ target_id: '00000000-0000-4000-8000-000000000000', task: 'x' }),
      answers: 202,
    },
    'GET /workspaces/:id/delegations': OK,
    'POST /workspaces/:id/delegations/record': { body: () => ({}), answers: 400 },
    'POST /workspaces/:id/delegations/:delegationId/update': {
      body: () => ({ status: 'completed' }),
      answers: 404,
    },
    'POST /workspaces/:id/restart': FRESH,
    'POST /workspaces/:id/pause': FRESH,
    'POST /workspaces/:id/resume': FRESH,
    'POST /workspaces/:id/hibernate': FRESH,
    'POST /workspaces/:id/wake': FRESH,
    'POST /workspaces/:id/expand': FRESH,
    'POST /workspaces/:id/collapse': FRESH,
    'GET /workspaces/:id/tokens': OK,
    'POST /workspaces/:id/tokens': { answers: 201 },
    'DELETE /workspaces/:id/tokens/:tokenId': NOT_FOUND,
    'GET /workspaces/:id/events/stream': { answers: 200, isEndless: true },
  },

  peer: {
    'POST /workspaces/:id/a2a': {
      body: () => ({ jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { id: 'x' } }),
      answers: 200,
    },
    'GET /a2a/:id/*': {},
    'DELETE /a2a/:id/*': {},
    'POST /a2a/:id/*': {
      body: () => ({ jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { id: 'x' } }),
      answers: 200,
    },
    // Who is admitted and not concerned is told the same as of one that is not there.
    'GET /workspaces/:id/a2a/queue/:queueId': NOT_FOUND,
    'DELETE /workspaces/:id/a2a/queue/:queueId': NOT_FOUND,
  },

  admin: {
    'GET /workspaces': OK,
    'POST /workspaces': { body: () => ({ name: 'x', external: true }), answers: 201 },
    'DELETE /workspaces/:id': { isFresh: true, answers: 200 },
    'GET /workspaces/:id/console': OK,
    'PUT /workspaces/:id/job-control': {
      body: () => ({ url: 'http://203.0.113.7:8022', token: 'x'.repeat(20) }),
    },
    'GET /workspaces/:id/job-control': {},
    'DELETE /workspaces/:id/job-control': {},
    'GET /org/tokens': OK,
    'POST /org/tokens': OK,
    'DELETE /org/tokens/:id': NOT_FOUND,
    'GET /admin/audit': OK,
    'GET /admin/liveness': OK,
    'GET /admin/a2a-queue': OK,
    'POST /admin/a2a-queue/drop-stale': OK,
    'POST /admin/workspaces/:id/bootstrap-failed': {
      body: () => ({ error: 'no boot' }),
      answers: 200,
    },
    'GET /events': OK,
    'GET /events/stream': { answers: 200, isEndless: true },
    'GET /events/:workspaceId': {},
  },
}

/** By method and path. */
export const ROUTES: ReadonlyMap<string, Row> = rowsOf(ROUTES_BY_SCOPE)

/** Throws for a route that stands in two scopes. */
function rowsOf(byScope: typeof ROUTES_BY_SCOPE): ReadonlyMap<string, Row> {
  const rows = new Map<string, Row>()
  for (const scope of Object.keys(byScope) as Scope[]) {
    for (const [route, call] of Object.entries(byScope[scope])) {
      if (rows.has(route)) throw new Error(`${route} is in the table twice`)
      rows.set(route, { ...call, scope })
    }
  }
  return rows
}

/** Throws for a route that is not in the table. */
export function rowOf(route: string): Row {
  const row = ROUTES.get(route)
  if (row === undefined) throw new Error(`${route} is not in the table of route-table.ts`)
  return row
}
