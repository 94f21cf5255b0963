/** @module The agent's routes: `POST /` and the card at both well-known places (contract/runtime 4). */
import { createHash } from 'node:crypto'
import type { AgentCard } from '@a2a-js/sdk'
import { rpcError } from '@atrium/a2a-schema/json-rpc'
import { type RawExchange, rawExchange } from '@atrium/hono-kit/raw-exchange'
import type { BaseEnv } from '@atrium/hono-kit/request-context'
import { AppError } from '@atrium/http-kit/app-error'
import { DELIVERY_ID_HEADER } from '@atrium/runtime-contract/delivery-id'
import type { Context, Hono } from 'hono'
import type { A2aAnswer } from './a2a-answer.ts'
import type { A2aEndpoint } from './a2a-endpoint.ts'
import { INVALID_REQUEST } from './a2a-errors.ts'
import { type CardShape, renderAgentCard } from './agent-card.ts'
import { sendEvents } from './event-stream.ts'
import { readBody } from './read-body.ts'

const CARD_PATHS = ['/.well-known/agent-card.json', '/.well-known/agent.json'] as const
const MAX_BODY_BYTES = 16 * 1024 * 1024
const STREAM_OPTIONS = { heartbeatMs: 15_000, stallMs: 60_000 } as const

export type AgentRoutesDeps = {
  readonly endpoint: A2aEndpoint
  /** The card with the address at which the runtime listens by now. */
  readonly card: () => AgentCard
}

/** Adds the agent's routes to an app whose guards are already in place. */
export function mountAgentRoutes(app: Hono<BaseEnv>, deps: AgentRoutesDeps): void {
  app.post('/', (c) => rawExchange(c, (exchange) => answer(c, exchange, deps.endpoint)))
  app.all('/', () => {
    throw new AppError('method_not_allowed', { headers: { Allow: 'POST' } })
  })
  for (const path of CARD_PATHS) app.get(path, (c) => sendCard(c, deps.card()))
}

async function answer(
  c: Context<BaseEnv>,
  exchange: RawExchange,
  endpoint: A2aEndpoint,
): Promise<void> {
  const { incoming, outgoing } = exchange
  const body = await readBody(incoming, MAX_BODY_BYTES)
  if (body === undefined) {
    const error = { id: null, code: INVALID_REQUEST, message: 'payload too large' }
    sendJson(exchange, { status: 413, headers: {}, body: rpcError(error) })
    return
  }
  const reply = await endpoint.handle({
    body,
    contentType: incoming.headers['content-type'],
    version: c.req.header('a2a-version') ?? c.req.query('A2A-Version'),
    requestId: c.get('requestId'),
    deliveryId: c.req.header(DELIVERY_ID_HEADER),
  })
  // A client that went away meanwhile still has a task; only its copy of the answer is lost.
  if (reply.kind === 'stream') await sendEvents(exchange, reply.envelopes, STREAM_OPTIONS)
  else if (!outgoing.destroyed) sendJson(exchange, reply)
}

type JsonReply = Omit<Extract<A2aAnswer, { readonly kind: 'json' }>, 'kind'>

function sendJson({ outgoing }: RawExchange, { status, headers, body }: JsonReply): void {
  outgoing.writeHead(status, {
    ...headers,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  })
  outgoing.end(body)
}

function sendCard(c: Context<BaseEnv>, card: AgentCard): Response {
  const body = JSON.stringify(renderAgentCard(card, shapeFor(c.req.header('a2a-version'))))
  const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`
  // The URL in it can change with every start: always ask, seldom transfer.
  const headers = { ETag: etag, Vary: 'A2A-Version', 'Cache-Control': 'no-cache' }
  const known = c.req.header('if-none-match')?.split(',') ?? []
  if (known.some((tag) => [etag, `W/${etag}`, '*'].includes(tag.trim()))) {
    return c.body(null, 304, headers)
  }
  return c.body(body, 200, { ...headers, 'Content-Type': 'application/json' })
}

function shapeFor(version: string | undefined): CardShape {
  if (version?.trim().startsWith('1.')) return '1.0'
  return version?.trim().startsWith('0.') ? '0.3' : 'hybrid'
}
