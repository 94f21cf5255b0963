/** The API's reference: of everything that is mounted, valid, and true (ADR-0023). */
import { Validator } from '@seriousme/openapi-schema-validator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OPERATIONS } from '../../../apps/platform/src/http/openapi/openapi-document.ts'
import { ApiReference, type ReferenceDocument } from '../../support/api-reference.ts'
import {
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'
import { startWorkspaceServer, type WorkspaceServer } from '../../support/workspace-server.ts'

let platform: PlatformHarness
let box: WorkspaceServer
let workspace: OnlineWorkspace
let document: ReferenceDocument
let reference: ApiReference

beforeAll(async () => {
  platform = await startPlatformHarness({ MOLECULE_ENABLE_TEST_TOKENS: '1' })
  box = await startWorkspaceServer()
  workspace = await platform.onlineWorkspace(box.url)
  const answer = await platform.request('/openapi.json', { as: null })
  document = (await answer.json()) as ReferenceDocument
  reference = new ApiReference(document)
})
afterAll(async () => {
  await platform.stop()
  await box.close()
})

describe('GET /openapi.json', () => {
  it('describes every mounted route, and nothing else', () => {
    const mounted = platform.routes.map(({ method, path }) => `${method} ${path}`)
    expect(Object.keys(OPERATIONS).toSorted()).toEqual(mounted.toSorted())
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(
        (method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
      ),
    )
    expect(described.toSorted()).toEqual(mounted.toSorted())
  })

  it('is a valid document', async () => {
    const verdict = await new Validator().validate(JSON.parse(JSON.stringify(document)))
    expect(verdict.errors).toBeUndefined()
    expect(verdict.valid).toBe(true)
    // References lead somewhere, and every schema is one.
    expect(() => reference.problemOf({ method: 'GET', path: '/health' }, OK)).not.toThrow()
  })

  it('says of every route which credential its scope asks for', () => {
    const expected: Record<string, unknown> = {
      public: [],
      workspace: [{ workspaceToken: [] }, { operatorToken: [] }],
      peer: [{ workspaceToken: [] }, { operatorToken: [] }],
      admin: [{ operatorToken: [] }],
    }
    for (const { method, path, scope } of platform.routes) {
      if (scope === 'self') continue
      const described =
        document.paths[path.replaceAll(/:([A-Za-z]+)/g, '{$1}')]?.[method.toLowerCase()]
      expect([method, path, described?.['security']]).toEqual([method, path, expected[scope]])
    }
  })
})

const OK = { status: 200, body: { status: 'ok' } }

type Call = {
  readonly path?: string
  readonly query?: string
  readonly body?: unknown
  readonly as?: 'workspace'
  readonly headers?: Readonly<Record<string, string>>
}

/** Routes that answer JSON by themselves, in an order in which all of them can be called. */
const CALLS: readonly (readonly [string, Call?])[] = [
  ['GET /health'],
  ['GET /ready'],
  ['GET /openapi.json'],
  ['GET /workspaces'],
  ['POST /workspaces', { body: { name: 'external', external: true } }],
  ['POST /workspaces', { body: { name: 'started' } }],
  ['GET /workspaces/:id'],
  ['GET /workspaces/:id', { as: 'workspace' }],
  ['PATCH /workspaces/:id', { body: { x: 1, model: 'other' } }],
  ['GET /workspaces/:id/state'],
  ['GET /workspaces/:id/console'],
  ['POST /registry/register', { as: 'workspace', body: 'registration' }],
  ['POST /registry/heartbeat', { as: 'workspace', body: 'beat' }],
  ['POST /registry/update-card', { as: 'workspace', body: 'card' }],
  ['POST /registry/check-access', { body: 'pair' }],
  ['GET /registry/:id/peers', { as: 'workspace' }],
  ['POST /workspaces/:id/activity', { as: 'workspace', body: { activity_type: 'agent_log' } }],
  ['POST /workspaces/:id/notify', { as: 'workspace', body: { message: 'done' } }],
  ['GET /workspaces/:id/activity'],
  ['POST /workspaces/:id/activity/ack', { as: 'workspace', body: { id: null } }],
  ['GET /workspaces/:id/tokens'],
  ['POST /workspaces/:id/tokens'],
  ['GET /workspaces/:id/inbound-secret'],
  ['POST /workspaces/:id/inbound-secret/rotate'],
  ['GET /admin/workspaces/:id/test-token'],
  ['POST /admin/workspaces/:id/test-token'],
  ['GET /org/tokens'],
  ['POST /org/tokens', { body: { name: 'ci' } }],
  ['GET /admin/audit', { query: '?limit=2' }],
  ['GET /admin/liveness'],
  ['POST /admin/workspaces/:id/bootstrap-failed', { body: { error: 'no boot' } }],
  ['GET /events'],
  ['GET /events/:workspaceId'],
  ['POST /workspaces/:id/hibernate', { query: '?force=true' }],
  ['POST /workspaces/:id/wake'],
  ['POST /workspaces/:id/restart'],
  ['POST /workspaces/:id/collapse'],
  ['POST /workspaces/:id/pause'],
  ['POST /workspaces/:id/resume'],
  ['DELETE /workspaces/:id', { query: '?confirm=true' }],
]

const BODIES: Readonly<Record<string, () => unknown>> = {
  registration: () => ({ id: workspace.id, agent_card: { name: 'agent' } }),
  beat: () => ({ workspace_id: workspace.id }),
  card: () => ({ workspace_id: workspace.id, agent_card: { name: 'agent' } }),
  pair: () => ({ caller_id: workspace.id, target_id: workspace.id }),
}

function routeOf(name: string): { readonly method: string; readonly path: string } {
  const [method = '', path = ''] = name.split(' ')
  return { method, path }
}

async function call(name: string, made: Call = {}, as?: string | null) {
  const { method, path } = routeOf(name)
  const target = path
    .replaceAll(/:(id|workspaceId)/g, workspace.id)
    .replace(':tokenId', workspace.id)
  const body = typeof made.body === 'string' ? BODIES[made.body]?.() : made.body
  const credential = made.as === 'workspace' ? workspace.authToken : as
  return platform.request(`${target}${made.query ?? ''}`, {
    method,
    ...(credential === undefined ? {} : { as: credential }),
    headers: { 'content-type': 'application/json', ...made.headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

describe('what is described', () => {
  it('is what the routes answer', async () => {
    for (const [name, made] of CALLS) {
      const answer = await call(name, made)
      const body: unknown = await answer.json()
      const problem = reference.problemOf(routeOf(name), { status: answer.status, body })
      expect([name, answer.status < 300, problem]).toEqual([name, true, undefined])
    }
  })

  it.each([null, 'x'.repeat(43)])('is what they answer to who presents %j', async (as) => {
    for (const name of Object.keys(OPERATIONS)) {
      const answer = await call(name, {}, as)
      const failure = await failureIn(answer)
      if (failure === undefined) continue
      const problem = reference.problemOf(routeOf(name), { status: answer.status, body: failure })
      expect([name, problem]).toEqual([name, undefined])
    }
  })
})

/** Messages are answered in JSON-RPC, with the failure as its data. */
async function failureIn(answer: Response): Promise<unknown> {
  if (answer.status < 400) {
    await answer.body?.cancel()
    return undefined
  }
  const body = (await answer.json()) as { error?: string | { data?: unknown } }
  return typeof body.error === 'object' ? body.error.data : body
}

describe('GET /docs', () => {
  it('shows every route, without a script and without asking anybody else', async () => {
    const answer = await platform.request('/docs', { as: null })
    expect(answer.headers.get('content-type')).toMatch(/^text\/html/)
    expect(answer.headers.get('content-security-policy')).toBe("default-src 'self'")
    const html = await answer.text()
    for (const { method, path } of platform.routes) {
      const shown = path.replaceAll(/:([A-Za-z]+)/g, '{$1}')
      expect([method, path, html.includes(`>${method}</b> <code>${shown}</code>`)]).toEqual([
        method,
        path,
        true,
      ])
    }
    // Nothing that the policy forbids, and nothing from elsewhere.
    expect(html).not.toMatch(/<script|<style|\sstyle=|\son\w+=|javascript:/i)
    const links = [...html.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link]) => link ?? '')
    expect(
      links.filter((link) => !/^(?:#|\/(?:docs\/style\.css|openapi\.json)$)/.test(link)),
    ).toEqual([])
    const anchors = new Set([...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => `#${id}`))
    expect(links.filter((link) => link.startsWith('#') && !anchors.has(link))).toEqual([])
    expect(
      (await platform.request('/docs/style.css', { as: null })).headers.get('content-type'),
    ).toBe('text/css')
  })
})
