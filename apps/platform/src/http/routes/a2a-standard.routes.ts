/**
 * @module What stands at the address that agent cards tell: `/a2a/:id` and everything below it, as
 * the specifications of A2A have it (contract/a2a 1.1, 2.5, 2.9). With a trailing slash and without.
 */
import { parseLossless } from '@atrium/a2a-schema/lossless-json'
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { type Context, Hono } from 'hono'
import { callWorkspace } from '../../services/gateway/call-workspace.ts'
import { GatewayFailure } from '../../services/gateway/gateway-call.ts'
import { type PublicCardDeps, publicCard } from '../../services/gateway/public-card.ts'
import { RPC, RpcRefusal } from '../../services/gateway/rpc-problem.ts'
import { toJsonRpcError } from '../a2a-problem.ts'
import { toRestError } from '../a2a-rest-problem.ts'
import type { WorkspaceEnv } from '../env.ts'
import { readBody } from '../read-json.ts'
import { restEvent, restReply } from '../rest-answer.ts'
import { dialectOf, queryParams, type RestRoute, restRoute, rpcOf } from '../rest-call.ts'
import { writeA2aAnswer } from '../write-a2a-answer.ts'
import { type A2aDeps, answerRpc, headersOf, MAX_REQUEST_BYTES } from './a2a.routes.ts'

export type StandardDeps = A2aDeps & PublicCardDeps

const CARDS: ReadonlySet<string> = new Set([
  '.well-known/agent-card.json',
  '.well-known/agent.json',
])

/** Below `/a2a/:id`. */
export function a2aStandardRoutes(deps: StandardDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/*', (c) => (CARDS.has(pathOf(c)) ? answerCard(deps, c) : answerRest(deps, c)))
  app.delete('/*', (c) => answerRest(deps, c))
  app.post('/*', (c) => (pathOf(c) === '' ? answerRpc(deps, c, 'standard') : answerRest(deps, c)))
  return app
}

/** What of the path names the operation: `message:send`; empty where JSON-RPC is spoken. */
function pathOf(c: Context<WorkspaceEnv>): string {
  return c.req.path.replace(/^\/a2a\/[^/]*/, '').replace(/^\/|\/$/g, '')
}

/** A refusal of the scope in the words of whichever binding the path belongs to. */
export function renderRefusal(c: Context<WorkspaceEnv>, thrown: unknown): Response {
  const path = pathOf(c)
  return path === ''
    ? toJsonRpcError(c, thrown, 'standard')
    : toRestError(c, thrown, dialectOf(path))
}

async function answerCard(deps: StandardDeps, c: Context<WorkspaceEnv>): Promise<Response> {
  try {
    const { body, etag, changedAt } = await publicCard(deps, {
      caller: c.get('caller'),
      workspaceId: c.get('workspaceId'),
      version: headersOf(c)('a2a-version'),
    })
    const headers = {
      'Content-Type': 'application/json',
      // Of whom the card tells is the caller's secret; the shape depends on the version.
      'Cache-Control': 'private, max-age=60',
      Vary: 'A2A-Version, Authorization',
      ETag: etag,
      'Last-Modified': changedAt.toUTCString(),
    }
    return isKnown(c.req.header('if-none-match'), etag)
      ? c.body(null, 304, headers)
      : c.body(new Uint8Array(body), 200, headers)
  } catch (cause) {
    return toRestError(c, failed(cause, '1.0'), '1.0')
  }
}

/** RFC 9110 s13.1.2: a list, compared weakly, because a proxy that compresses weakens what it passes on. */
function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  const known = (ifNoneMatch ?? '').split(',').map((each) => each.trim().replace(/^W\//, ''))
  return known.includes(etag) || known.includes('*')
}

function failed(cause: unknown, dialect: RestRoute['dialect']): unknown {
  return cause instanceof RpcRefusal
    ? new GatewayFailure({ id: null, dialect }, { rpc: cause.problem })
    : cause
}

async function answerRest(deps: StandardDeps, c: Context<WorkspaceEnv>): Promise<Response> {
  const path = pathOf(c)
  const dialect = dialectOf(path)
  try {
    const route = restRoute(c.req.method, path)
    if (route === undefined) throw new AppError('not_found')
    const call = await callOf(deps, c, route)
    return await rawExchange(c, async (exchange) => {
      const { signal } = exchange
      const answer = await callWorkspace(deps, { ...call, signal })
      const told = answer.kind === 'json' ? { ...answer, ...restReply(answer.body, route) } : answer
      const contentType = contentTypeFor(c, route)
      await writeA2aAnswer(exchange, { ...told, contentType }, deps.clientIdleTimeoutMs)
    })
  } catch (cause) {
    return toRestError(c, failed(cause, dialect), dialect)
  }
}

async function callOf(deps: StandardDeps, c: Context<WorkspaceEnv>, route: RestRoute) {
  const hasBody = c.req.method === 'POST'
  const said = hasBody ? parsedBody(await readBody(c, MAX_REQUEST_BYTES)) : {}
  const query = queryParams(c.req.query())
  const rpc = rpcOf(route, { id: deps.ids.uuid(), query, body: said })
  return {
    workspaceId: c.get('workspaceId'),
    caller: c.get('caller'),
    body: Buffer.from(JSON.stringify(rpc)),
    headers: headersOf(c),
    requestId: c.get('requestId'),
    viewEvent: (data: Buffer) => restEvent(data, route.dialect),
  }
}

/** Some operations need no body, and some clients send none. */
function parsedBody(bytes: Buffer) {
  if (bytes.length === 0) return {}
  try {
    return parseLossless(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new RpcRefusal({ code: RPC.parseError, message: 'invalid JSON' })
  }
}

/** 1.0.1 has a type of its own; who asks for plain JSON gets that. */
function contentTypeFor(c: Context<WorkspaceEnv>, { dialect }: RestRoute): string {
  const accept = c.req.header('accept') ?? ''
  const wantsPlain = accept.includes('application/json') && !accept.includes('application/a2a+json')
  return dialect === '0.3' || wantsPlain ? 'application/json' : 'application/a2a+json'
}
