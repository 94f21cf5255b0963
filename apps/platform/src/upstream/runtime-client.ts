/**
 * @module The one HTTP/1.1 client for file bytes, platform -> runtime (contract/platform 6.1).
 * Node's `http` on our own connections: neither `fetch` nor web streams hold back or keep up
 * (design/performance 1 and 2). Redirects are never followed: Node's client has no such thing.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Socket } from 'node:net'
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import { assertLiteralAllowed, type CheckAddress, type LookupAll } from './address-guard.ts'
import { OnreadAgent } from './onread-agent.ts'
import type { BodyLimit } from './request-body-pump.ts'
import type { RetainedBody } from './retained-body.ts'
import { RuntimeExchange, StaleConnectionError } from './runtime-exchange.ts'

export type RuntimeRequest = {
  readonly url: URL
  readonly method: 'GET' | 'HEAD' | 'POST'
  /** The complete allow-list of what goes out, the credential included. */
  readonly headers: Readonly<Record<string, string>>
  /** The client's request, moved with back-pressure. */
  readonly body?: IncomingMessage
  readonly bodyLimit?: BodyLimit
  /** Keeps the beginning of the body, so that the request may be made once more. */
  readonly retained?: RetainedBody
  /** The beginning that an earlier attempt has taken; `body` goes on after it. */
  readonly begun?: readonly Buffer[]
}

export type RuntimeResponseHead = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
}

/** What the client is answered with; may throw an `AppError` instead (3xx, 401). */
export type AnswerHead = (head: RuntimeResponseHead) => {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

export type RuntimeClientOptions = {
  /** Until there is a connection, the wait for a free place in the pool included. */
  readonly connectTimeoutMs: number
  /** From the last byte of the request to the head of the answer. */
  readonly headersTimeoutMs: number
  /** Without a byte moving in either direction. A slice counts when all of it has moved. */
  readonly idleTimeoutMs: number
  /** Absent: the endpoint is trusted by provenance. One client serves one rule. */
  readonly checkAddress?: CheckAddress
  /** With `checkAddress`; the system's unless given. */
  readonly lookupAll?: LookupAll
}

export type RuntimeAgents = { readonly http: OnreadAgent; readonly https: HttpsAgent }

/** Connections to one origin at a time; more requests wait for `connectTimeoutMs`. */
const MAX_SOCKETS_PER_ORIGIN = 256
/** Each idle connection holds its read buffer, so few are kept, and not for long. */
const MAX_IDLE_SOCKETS_PER_ORIGIN = 16
/** Shorter than the keep-alive time of any server we meet (Node's default: 5 s). */
const IDLE_SOCKET_TIMEOUT_MS = 4_000

export class RuntimeClient {
  readonly #options: RuntimeClientOptions
  readonly #pooled = createAgents()
  /** Never keeps a connection: an upload cannot be repeated when a kept one turns out to be dead. */
  readonly #fresh = withoutReuse(createAgents())

  constructor(options: RuntimeClientOptions) {
    this.#options = options
  }

  /**
   * Sends the request, lets `answerHead` decide the head, and moves the body to the client.
   * Resolves with the number of body bytes when the client has them all. Throws the signal's
   * reason when the client left; before the head `workspace_unreachable`, `workspace_timeout`,
   * `workspace_invalid_response`, `upload_stalled`, or what `answerHead` or `checkAddress` say.
   * Once the head is out, a failure destroys `outgoing` (never a clean short body) and is thrown.
   */
  async forward(
    request: RuntimeRequest,
    exchange: RawExchange,
    answerHead: AnswerHead,
  ): Promise<{ readonly bytes: number }> {
    const { checkAddress } = this.#options
    if (checkAddress !== undefined) assertLiteralAllowed(request.url.hostname, checkAddress)
    const attempt = (agents: RuntimeAgents): Promise<{ readonly bytes: number }> =>
      new RuntimeExchange(request, exchange, { ...this.#options, agents }).run(answerHead)
    if (request.body !== undefined) return attempt(this.#fresh)
    try {
      return await attempt(this.#pooled)
    } catch (error) {
      // RFC 9112 s9.3.1: an idempotent request whose kept connection was closed meanwhile may be
      // sent again; once, on a connection that nobody has used.
      if (error instanceof StaleConnectionError) return attempt(this.#fresh)
      throw error
    }
  }

  /** Cuts every connection. Requests still in flight fail with `workspace_unreachable`. */
  async close(): Promise<void> {
    for (const agents of [this.#pooled, this.#fresh]) {
      agents.http.destroy()
      agents.https.destroy()
    }
  }
}

function createAgents(): RuntimeAgents {
  const options = {
    keepAlive: true,
    maxSockets: MAX_SOCKETS_PER_ORIGIN,
    maxFreeSockets: MAX_IDLE_SOCKETS_PER_ORIGIN,
    timeout: IDLE_SOCKET_TIMEOUT_MS,
  }
  return { http: new OnreadAgent(options), https: new HttpsAgent(options) }
}

/** Ends each connection before the agent could keep it, or give it to a request that waits. */
function withoutReuse(agents: RuntimeAgents): RuntimeAgents {
  // Not by `maxFreeSockets: 0`, which Node takes for its default of 256. Not by `keepAlive: false`:
  // a server closes such a connection under a client that is still sending (see earlyAnswer).
  for (const agent of [agents.http, agents.https]) {
    agent.prependListener('free', (socket: Socket) => socket.destroy())
  }
  return agents
}
