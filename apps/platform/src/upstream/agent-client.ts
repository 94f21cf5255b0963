/**
 * @module HTTP to an agent: one request, its answer as a stream. undici without redirects, without
 * a total deadline, one pool per origin (design/performance 3, contract/platform 4.5).
 */
import type { Readable } from 'node:stream'
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { Agent, errors, request } from 'undici'
import type { WorkspaceEndpoint } from '../domain/workspace-endpoint.ts'
import type { LookupAll } from './address-guard.ts'
import type { AddressPolicy } from './agent-address.ts'
import { agentConnector } from './guarded-connector.ts'
import { MAX_INTERIM_RESPONSES } from './interim-responses.ts'

export type AgentRequest = {
  readonly endpoint: WorkspaceEndpoint
  readonly body: Uint8Array
  /** The complete allow-list of what goes out, the credential included. */
  readonly headers: Readonly<Record<string, string>>
  /** Aborted when nobody is to wait for the answer any longer; that a caller has left is no reason. */
  readonly signal: AbortSignal
}

export type AgentResponse = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Must be consumed or destroyed by the caller. */
  readonly body: Readable
}

export class AgentClient {
  readonly #trusted: Agent
  readonly #guarded: Agent
  /** So long an answer that is no stream may take from its head to its end. */
  readonly answerTimeoutMs: number

  constructor(options: {
    readonly connectTimeoutMs: number
    /** A blocking send answers only when the agent is done. */
    readonly headersTimeoutMs: number
    /** Silence between two pieces of an answer; agents of ours send a comment every 15 s. */
    readonly idleTimeoutMs: number
    readonly policy: AddressPolicy
    /** The system's unless given. */
    readonly lookupAll?: LookupAll
  }) {
    const shared = {
      headersTimeout: options.headersTimeoutMs,
      bodyTimeout: options.idleTimeoutMs,
      maxHeaderSize: 16 * 1024,
      // Each stream takes one for as long as it lasts: a bound would let the next message wait for ever.
      connections: null,
    }
    this.answerTimeoutMs = options.headersTimeoutMs
    const timeoutMs = options.connectTimeoutMs
    this.#trusted = new Agent({
      ...shared,
      connect: agentConnector({ timeoutMs, policy: undefined }),
    })
    this.#guarded = new Agent({
      ...shared,
      connect: agentConnector({ timeoutMs, policy: options.policy, lookupAll: options.lookupAll }),
    })
  }

  /**
   * POSTs to the endpoint verbatim (contract/platform 4.2 step 7). A caller's leaving alone does not
   * end it: an agent that is hung up on may give up its task (contract/platform 4.5). Throws
   * `agent_unreachable`, `agent_url_not_routable`, `workspace_timeout`, `workspace_redirected`,
   * `workspace_invalid_response`.
   */
  async post(input: AgentRequest): Promise<AgentResponse> {
    const flood = new AbortController()
    let interim = 0
    try {
      const response = await request(input.endpoint.url, {
        method: 'POST',
        body: input.body,
        headers: { ...input.headers },
        signal: AbortSignal.any([flood.signal, input.signal]),
        // Each of them starts the time until the head again, so that a flood would have no end.
        onInfo: () => {
          interim += 1
          if (interim > MAX_INTERIM_RESPONSES)
            flood.abort(new AppError('workspace_invalid_response'))
        },
        // Whoever calls knows how long to wait for the head, and says so with the signal.
        headersTimeout: 0,
        dispatcher: input.endpoint.isTrusted ? this.#trusted : this.#guarded,
      })
      if (response.statusCode >= 300 && response.statusCode < 400) {
        discardAnswer(response.body)
        throw new AppError('workspace_redirected')
      }
      return { status: response.statusCode, headers: response.headers, body: response.body }
    } catch (error) {
      throw agentFailure(error)
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#trusted.destroy(), this.#guarded.destroy()])
  }
}

/** Lets an answer go that nobody will read, with its connection. */
export function discardAnswer(body: Readable): void {
  // undici reports its own abort of an unread body as an error; without a listener it is uncaught.
  body.on('error', () => undefined)
  body.destroy()
}

/** What a connection that never came about says: the system's words, and undici's. */
const NEVER_CONNECTED = [
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'],
  'UND_ERR_CONNECT_TIMEOUT',
] as const

/** A transport failure in our terms; used for the head and for a body that breaks off. */
export function agentFailure(error: unknown): AppError {
  const known = findAppError(error)
  if (known !== undefined) return known
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) {
    return new AppError('workspace_timeout', { cause: error })
  }
  if (
    error instanceof errors.HTTPParserError ||
    error instanceof errors.HeadersOverflowError ||
    error instanceof errors.ResponseContentLengthMismatchError
  ) {
    return new AppError('workspace_invalid_response', { cause: error })
  }
  // Without a connection nothing was sent: the caller may send it again, and the ledger does.
  const extensions = isNeverConnected(error) ? { undelivered: true } : {}
  return new AppError('agent_unreachable', { cause: error, extensions })
}

function isNeverConnected(error: unknown): boolean {
  if (error instanceof AggregateError) {
    // One failure for each address of the name.
    return error.errors.length > 0 && error.errors.every(isNeverConnected)
  }
  // The system says the same of a connection that was there and has fallen silent.
  const isConnectTimeout = hasErrorCode(error, 'ETIMEDOUT') && callOf(error) === 'connect'
  return isConnectTimeout || hasErrorCode(error, ...NEVER_CONNECTED)
}

/** Which call of the system failed. */
function callOf(error: unknown): unknown {
  return error instanceof Error && 'syscall' in error ? error.syscall : undefined
}
