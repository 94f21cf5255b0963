/**
 * @module A message on its way to a workspace's agent (contract/platform 4.2). Same dialect on
 * both sides: the original bytes go through untouched unless the envelope had to be completed.
 */
import { addAbortSignal, type Readable } from 'node:stream'
import {
  parseRpcRequest,
  type RpcFailure,
  type RpcId,
  type RpcRequest,
  rpcRequestText,
} from '@atrium/a2a-schema/json-rpc'
import { normaliseRequest } from '@atrium/a2a-schema/normalise'
import { AppError } from '@atrium/http-kit/app-error'
import { isStorableJson } from '@atrium/runtime-contract/registration'
import type { Logger } from 'pino'
import { findLiveWorkspace } from '../db/workspace-store.ts'
import type { Sender } from '../domain/caller.ts'
import { resolveDeliveryMode } from '../domain/delivery-mode.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import {
  type AgentClient,
  type AgentResponse,
  agentFailure,
  discardAnswer,
} from '../upstream/agent-client.ts'
import { admitMessage, requireRelation } from './admit-message.ts'
import { deliverByPoll } from './deliver-by-poll.ts'
import type { DetachedExchanges } from './detached-exchanges.ts'
import type { Workspace } from './find-workspace.ts'
import type { PresentedSecret } from './inbound-secret-rotation.ts'
import { type LogActivityDeps, logActivity } from './log-activity.ts'
import { messageActivity } from './log-message.ts'
import { noteOutbound } from './note-use.ts'
import {
  type ForwardTarget,
  type ForwardTargetDeps,
  resolveForwardTarget,
} from './resolve-forward-target.ts'
import { suspectIfUnreachable } from './suspect-if-unreachable.ts'
import type { TaskTracker } from './task-tracker.ts'

export type ProxyDeps = ForwardTargetDeps &
  LogActivityDeps & {
    readonly log: Logger
    readonly agentClient: AgentClient
    readonly detached: DetachedExchanges
    readonly tracker: TaskTracker
  }

/** What of the caller's headers goes on to the agent; names in lower case. */
const PASSED_REQUEST_HEADERS = ['a2a-version', 'a2a-extensions', 'x-a2a-extensions'] as const

/** Contract/platform 4.12: an answer that is not a stream is at most 10 MiB. */
const MAX_ANSWER_BYTES = 10 * 1024 * 1024

export type ProxyInput = {
  readonly workspaceId: WorkspaceId
  readonly caller: Sender
  readonly body: Uint8Array
  readonly headers: (name: string) => string | undefined
  readonly requestId: string
  /**
   * Aborted when the caller has left. That ends a stream, and no request that is not one too many:
   * the agent finishes it.
   */
  readonly signal: AbortSignal
}

export type ProxyAnswer =
  | { readonly kind: 'json'; readonly status: number; readonly body: Buffer }
  /** The agent's server-sent events; must be consumed or destroyed. */
  | { readonly kind: 'stream'; readonly status: number; readonly body: AgentResponse['body'] }

/** A failure with the id under which the caller knows its request. */
export class ProxyFailure extends Error {
  readonly id: RpcId
  readonly rpc: RpcFailure | undefined

  constructor(id: RpcId, failure: { readonly rpc?: RpcFailure; readonly cause?: unknown }) {
    super('A2A request failed', { cause: failure.cause })
    this.name = 'ProxyFailure'
    this.id = id
    this.rpc = failure.rpc
  }
}

/**
 * Sends a request to the workspace's agent, or keeps it for one that fetches its messages. Throws
 * `ProxyFailure` for everything that goes wrong.
 */
export async function proxyA2a(deps: ProxyDeps, input: ProxyInput): Promise<ProxyAnswer> {
  const parsed = parseRpcRequest(input.body, deps.ids)
  try {
    // One read for mode and address: when it fails, nothing was kept and nothing is acknowledged.
    const target = await findTarget(deps, input)
    await admitMessage(deps.db, { sender: input.caller, target })
    const message = { ...readableMessage(deps, parsed), sender: input.caller, target }
    const answer =
      deliveryModeOf(target) === 'poll'
        ? await keepForPoll(deps, message)
        : await push(deps, input, message)
    if (input.caller.kind === 'workspace') noteOutbound(deps, input.caller.workspaceId)
    return answer
  } catch (cause) {
    if (cause instanceof ProxyFailure) throw cause
    throw new ProxyFailure(parsed.ok ? parsed.request.id : parsed.error.id, { cause })
  }
}

/** To who has no business there, a workspace that is not there looks like any other (wart W16). */
async function findTarget(deps: ProxyDeps, input: ProxyInput): Promise<Workspace> {
  const target = await findLiveWorkspace(deps.db, input.workspaceId)
  if (target !== undefined) return target
  await requireRelation(deps.db, input.caller, input.workspaceId)
  throw new AppError('workspace_not_found')
}

type Message = {
  readonly sender: Sender
  readonly target: Workspace
  /** As it came. */
  readonly given: RpcRequest
  /** As the agent shall read it. */
  readonly request: RpcRequest
  readonly isChanged: boolean
}

function readableMessage(
  deps: ProxyDeps,
  parsed: ReturnType<typeof parseRpcRequest>,
): Pick<Message, 'given' | 'request' | 'isChanged'> {
  if (!parsed.ok) throw new ProxyFailure(parsed.error.id, { rpc: parsed.error })
  const normalised = normaliseRequest(parsed.request, deps.ids)
  if (!normalised.ok) throw new ProxyFailure(parsed.request.id, { rpc: normalised.error })
  return { given: parsed.request, request: normalised.request, isChanged: normalised.changed }
}

/** An external workspace that nobody has registered yet will fetch its messages, or say otherwise. */
function deliveryModeOf(target: Workspace) {
  return resolveDeliveryMode({
    requested: undefined,
    stored: target.deliveryMode,
    runtimeKind: target.runtimeKind,
  })
}

async function keepForPoll(deps: ProxyDeps, message: Message): Promise<ProxyAnswer> {
  await deliverByPoll(deps, message)
  const { method } = message.request
  const acknowledgement = { status: 'queued', delivery_mode: 'poll', method }
  return { kind: 'json', status: 200, body: Buffer.from(JSON.stringify(acknowledgement), 'utf8') }
}

async function push(deps: ProxyDeps, input: ProxyInput, message: Message): Promise<ProxyAnswer> {
  const { request } = message
  const body = message.isChanged ? Buffer.from(rpcRequestText(request), 'utf8') : input.body
  const startedAt = deps.clock.now()
  const target = await messageTarget(deps, message.target)
  const answer = await deps.detached.run(input.signal, body.length, (signal) =>
    dispatch(deps, { input, target, body, signal }),
  )
  record(deps, { message, startedAt, answer })
  if (answer.kind === 'stream') endWithCaller(answer.body, input.signal)
  return answer
}

/** Events that nobody reads any more; the task behind them goes on (contract/a2a 2.7). */
function endWithCaller(events: Readable, signal: AbortSignal): void {
  if (signal.aborted) discardAnswer(events)
  else addAbortSignal(signal, events)
}

/** The contract has its own words for a message that has nowhere to go (4.2 step 6). */
async function messageTarget(deps: ProxyDeps, workspace: Workspace): Promise<ForwardTarget> {
  try {
    return await resolveForwardTarget(deps, workspace)
  } catch (error) {
    if (error instanceof AppError && error.code === 'workspace_url_missing') {
      throw new AppError('workspace_has_no_url', { extensions: { status: workspace.status } })
    }
    throw error
  }
}

type Dispatch = {
  readonly input: ProxyInput
  readonly target: ForwardTarget
  readonly body: Uint8Array
  readonly signal: AbortSignal
}

async function dispatch(deps: ProxyDeps, send: Dispatch): Promise<ProxyAnswer> {
  const posted = post(deps, send)
  const response = await suspectIfUnreachable(deps.lifecycle, send.target.workspaceId, posted)
  if (response.status === 401) {
    discardAnswer(response.body)
    deps.lifecycle.deliverInboundSecret(send.target.workspaceId)
    throw new AppError('workspace_auth_mismatch')
  }
  const contentType = String(response.headers['content-type'] ?? '')
  if (response.status < 300 && contentType.startsWith('text/event-stream')) {
    return { kind: 'stream', status: response.status, body: response.body }
  }
  const body = await readAnswer(response)
  // What is not JSON-RPC never reaches the caller: an HTML page is somebody's error, not an answer.
  if (!isRpcObject(body)) {
    throw response.status < 300
      ? new AppError('workspace_invalid_response')
      : new AppError('agent_error', {
          message: `agent answered with HTTP status ${response.status}`,
          extensions: { upstream_status: response.status },
        })
  }
  return { kind: 'json', status: response.status, body }
}

/** During a rotation an agent that refuses the first secret is offered the second (ADR-0024). */
async function post(deps: ProxyDeps, send: Dispatch): Promise<AgentResponse> {
  const { input, target } = send
  const attempt = ({ secret }: PresentedSecret): Promise<AgentResponse> =>
    deps.agentClient.post({
      endpoint: target.endpoint,
      body: send.body,
      signal: send.signal,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'accept-encoding': 'identity',
        authorization: `Bearer ${secret.reveal()}`,
        'x-request-id': input.requestId,
        ...passedHeaders(input),
      },
    })
  const [first, second] = target.secrets
  const response = await attempt(first)
  if (response.status !== 401 || second === undefined) return response
  discardAnswer(response.body)
  return attempt(second)
}

function passedHeaders(input: ProxyInput): Record<string, string> {
  const passed: Record<string, string> = {}
  for (const name of PASSED_REQUEST_HEADERS) {
    const value = input.headers(name)
    if (value !== undefined) passed[name] = value
  }
  return passed
}

async function readAnswer(response: AgentResponse): Promise<Buffer> {
  const pieces: Buffer[] = []
  let total = 0
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
  }
  return Buffer.concat(pieces)
}

function isRpcObject(body: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null && 'jsonrpc' in value
  } catch {
    // Not JSON is the answer to the question, not a failure of its own.
    return false
  }
}

/** Contract/platform 4.11, in the background: an answer does not wait for the log. */
function record(
  deps: ProxyDeps,
  exchange: {
    readonly message: Message
    readonly startedAt: Date
    readonly answer: ProxyAnswer
  },
): void {
  const { message, startedAt, answer } = exchange
  const now = deps.clock.now()
  deps.tracker.run(async () => {
    await logActivity(deps, {
      ...messageActivity(message),
      id: deps.ids.uuid(),
      requestBody: storableBody(rpcRequestText(message.request)),
      responseBody: answer.kind === 'json' ? storableBody(answer.body.toString('utf8')) : null,
      durationMs: now.getTime() - startedAt.getTime(),
      status: answer.status < 400 ? 'ok' : 'error',
      createdAt: now,
    })
  })
}

/** A body for the activity log, or a note in its place: what cannot be stored happened all the same. */
function storableBody(text: string): unknown {
  const value: unknown = JSON.parse(text)
  return isStorableJson(value) ? value : { omitted: 'cannot be stored' }
}
