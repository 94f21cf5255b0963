/**
 * @module One request to an agent and its answer, and what a failure says about whether the agent
 * has seen the request (contract/platform 4.5).
 */

import type { Readable } from 'node:stream'
import type { JsonObject } from '@atrium/a2a-schema/lossless-json'
import { readRpcAnswer } from '@atrium/a2a-schema/rpc-answer'
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import { DELIVERY_ID_HEADER } from '@atrium/runtime-contract/delivery-id'
import type { DispatchOutcome } from '../../domain/delivery.ts'
import {
  type AgentClient,
  type AgentResponse,
  agentFailure,
  discardAnswer,
} from '../../upstream/agent-client.ts'
import type { PresentedSecret } from '../inbound-secret-rotation.ts'
import type { ForwardTarget } from '../resolve-forward-target.ts'
import type { SecondOpinions } from '../second-opinion.ts'
import type { WorkspaceLifecycle } from '../workspace-lifecycle.ts'
import { type PatienceDeps, patienceWith } from './agent-patience.ts'

export type ExchangeDeps = PatienceDeps & {
  readonly agentClient: AgentClient
  readonly lifecycle: WorkspaceLifecycle
  readonly opinions: SecondOpinions
}

/** What of the caller's headers goes on to the agent; names in lower case. */
export const PASSED_REQUEST_HEADERS = ['a2a-version', 'a2a-extensions', 'x-a2a-extensions'] as const

/** Contract/platform 4.12: an answer that is not a stream is at most 10 MiB. */
const MAX_ANSWER_BYTES = 10 * 1024 * 1024

export type ExchangeInput = {
  readonly target: ForwardTarget
  readonly body: Uint8Array
  /** Of the caller's, those that go on. */
  readonly headers: Readonly<Record<string, string>>
  readonly requestId: string
  /** By which an agent knows a repetition (ADR-0032). */
  readonly deliveryId: string | undefined
  /** Whether the agent may do its work before it begins to answer. */
  readonly isBlocking?: boolean
  readonly signal: AbortSignal
}

/** What the agent said: JSON-RPC, or events of it. */
export type AgentReply = {
  readonly status: number
  readonly headers: AgentResponse['headers']
} & (
  | {
      readonly kind: 'json'
      readonly body: Buffer
      /** What `body` says; numbers as JavaScript has them. */
      readonly envelope: JsonObject
    }
  /** Must be consumed or destroyed. */
  | { readonly kind: 'stream'; readonly body: Readable }
)

/** Sends the request. Throws `agent_*` and `workspace_*` errors; what it answers is JSON-RPC. */
export async function exchangeWithAgent(
  deps: ExchangeDeps,
  input: ExchangeInput,
): Promise<AgentReply> {
  const { workspaceId, row } = input.target
  const response = await begun(deps, input)
  if (response.status === 401) {
    discardAnswer(response.body)
    deps.lifecycle.deliverInboundSecret(workspaceId)
    throw new AppError('workspace_auth_mismatch')
  }
  const contentType = String(response.headers['content-type'] ?? '').toLowerCase()
  if (response.status < 300 && contentType.startsWith('text/event-stream')) {
    return { kind: 'stream', ...response }
  }
  const body = await readAnswer(response, deps.agentClient.answerTimeoutMs)
  if (response.status === 503) throwIfBusy(response, body)
  if (isDeadClass(response.status) && (await deps.opinions.ask(row)) === 'dead') {
    throw new AppError('agent_restarting', { extensions: RESTARTING })
  }
  const answer = readRpcAnswer(body)
  // What is not JSON-RPC never reaches the caller: an HTML page is somebody's error, not an answer.
  if (answer === undefined) {
    throw response.status < 300
      ? new AppError('workspace_invalid_response')
      : new AppError('agent_error', {
          message: `agent answered with HTTP status ${response.status}`,
          extensions: { upstream_status: response.status },
          headers: retryAfterOf(response),
        })
  }
  const { bytes, envelope } = answer
  const { status, headers } = response
  return { kind: 'json', status, headers, body: bytes, envelope }
}

const RESTARTING = { restarting: true }

/** What proxies say of a server that they cannot reach; 520, 525 and the rest are none of it. */
export function isDeadClass(status: number): boolean {
  return [502, 503, 504, 521, 522, 523, 524].includes(status)
}

/** Failures of the connection, on which the lifecycle is asked whether anybody is there. */
const SUSPICIOUS: ReadonlySet<string> = new Set(['agent_unreachable', 'workspace_timeout'])

/** The head of the answer, for which the caller waits as long as is agreed. */
async function begun(deps: ExchangeDeps, input: ExchangeInput): Promise<AgentResponse> {
  const { row } = input.target
  const patience = patienceWith(deps, { row, isBlocking: input.isBlocking ?? false })
  try {
    const signal = AbortSignal.any([input.signal, patience.signal])
    return await post(deps, { ...input, signal })
  } catch (error) {
    const failure = findAppError(error)
    if (failure === undefined || !SUSPICIOUS.has(failure.code)) throw error
    if ((await deps.opinions.ask(row)) === 'alive') throw error
    const isUndelivered = failure.extensions['undelivered'] === true
    const extensions = isUndelivered ? { ...RESTARTING, undelivered: true } : RESTARTING
    throw new AppError('agent_restarting', { cause: error, extensions })
  } finally {
    patience.end()
  }
}

/** During a rotation an agent that refuses the first secret is offered the second (ADR-0024). */
async function post(deps: ExchangeDeps, input: ExchangeInput): Promise<AgentResponse> {
  const { target } = input
  const attempt = ({ secret }: PresentedSecret): Promise<AgentResponse> =>
    deps.agentClient.post({
      endpoint: target.endpoint,
      body: input.body,
      signal: input.signal,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'accept-encoding': 'identity',
        authorization: `Bearer ${secret.reveal()}`,
        'x-request-id': input.requestId,
        ...(input.deliveryId === undefined ? {} : { [DELIVERY_ID_HEADER]: input.deliveryId }),
        ...input.headers,
      },
    })
  const [first, second] = target.secrets
  const response = await attempt(first)
  if (response.status !== 401 || second === undefined) return response
  discardAnswer(response.body)
  return attempt(second)
}

/** What goes on of a request's headers. */
export function passedHeaders(
  headers: (name: string) => string | undefined,
): Record<string, string> {
  return Object.fromEntries(
    PASSED_REQUEST_HEADERS.flatMap((name) => {
      const value = headers(name)
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

/** An answer that has begun has as long as it had to begin: a trickle is no answer either. */
async function readAnswer(response: AgentResponse, withinMs: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let total = 0
  const cut = setTimeout(() => {
    response.body.destroy(new AppError('workspace_timeout'))
  }, withinMs)
  try {
    for await (const piece of response.body) {
      const bytes: Buffer = piece
      total += bytes.length
      // Leaving the loop destroys the body, and with it the connection to a talkative agent.
      if (total > MAX_ANSWER_BYTES) throw new AppError('workspace_invalid_response')
      pieces.push(bytes)
    }
  } catch (error) {
    throw agentFailure(error)
  } finally {
    clearTimeout(cut)
  }
  return Buffer.concat(pieces)
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    // Not JSON is the answer to the question, not a failure of its own.
    return undefined
  }
}

/** Why our runtime begins nothing, in our words: what it says is not passed on. */
const LACKS: ReadonlyMap<unknown, string> = new Map([
  ['insufficient_storage', 'the workspace has insufficient storage to begin a message'],
  ['storage_failed', 'the workspace cannot store that it begins a message'],
])

/** The agent's server says that it has not begun (contract: our runtime's failure body). */
function throwIfBusy(response: AgentResponse, body: Buffer): void {
  const value = jsonOf(body)
  if (typeof value !== 'object' || value === null || !('code' in value)) return
  if (value.code !== 'agent_busy') return
  const seconds = Number(response.headers['retry-after'])
  const message = 'reason' in value ? LACKS.get(value.reason) : undefined
  throw new AppError('agent_busy', {
    ...(message === undefined ? {} : { message }),
    extensions: { busy: true, ...(seconds > 0 && seconds <= 300 ? { retry_after: seconds } : {}) },
  })
}

/** The agent's own word is passed on (contract/platform 13.9). */
function retryAfterOf(response: AgentResponse): Record<string, string> {
  const value = response.headers['retry-after']
  return typeof value === 'string' && /^\d{1,5}$/.test(value) ? { 'Retry-After': value } : {}
}

/** Refused before the agent could see it. */
const UNDELIVERED_CODES: ReadonlySet<string> = new Set([
  ...['agent_url_not_routable', 'workspace_auth_mismatch', 'workspace_redirected'],
])
/** Broken off after the request had left. */
const UNKNOWN_CODES: ReadonlySet<string> = new Set([
  'agent_unreachable',
  'workspace_timeout',
  'agent_restarting',
])

/** Whoever stands before the agent may have passed the message on. */
function isOfProxy(error: AppError | undefined): boolean {
  return error?.code === 'agent_error' && isDeadClass(Number(error.extensions['upstream_status']))
}

/** What the ledger is told of an exchange that failed. */
export function outcomeOfFailure(thrown: unknown): DispatchOutcome {
  const error = findAppError(thrown)
  const reason = error?.code ?? 'internal_error'
  const text = error?.publicText ?? 'the platform failed'
  if (reason === 'agent_busy') {
    const seconds = Number(error?.extensions['retry_after'])
    return { kind: 'busy', error: text, retryAfterMs: seconds > 0 ? seconds * 1_000 : null }
  }
  const isUndelivered = error?.extensions['undelivered'] === true || UNDELIVERED_CODES.has(reason)
  // Nobody took it, and the workspace lives: it waits until somebody does.
  if (reason === 'agent_unreachable' && isUndelivered) {
    return { kind: 'busy', error: text, retryAfterMs: null }
  }
  if (!isUndelivered && (UNKNOWN_CODES.has(reason) || isOfProxy(error))) {
    return { kind: 'unknown', error: text }
  }
  return { kind: 'failed', reason, error: text, isUndelivered }
}
