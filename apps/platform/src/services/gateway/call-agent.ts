/**
 * @module One call of an agent in the version of the protocol that it speaks, and its answer as the
 * caller reads it (contract/a2a 2.1, 2.4). Where both speak the same, the bytes are not touched.
 */
import { historyLengthOf } from '@atrium/a2a-schema/history'
import type { RpcId, RpcRequest } from '@atrium/a2a-schema/json-rpc'
import { isJsonObject, type JsonObject, readLossless } from '@atrium/a2a-schema/lossless-json'
import { type MethodTraits, methodName, type SpokenDialect } from '@atrium/a2a-schema/method'
import { factsOf } from '@atrium/a2a-schema/result-facts'
import { answerWithId } from '@atrium/a2a-schema/rpc-answer'
import { translateRequest } from '@atrium/a2a-schema/translate/request'
import { AppError } from '@atrium/http-kit/app-error'
import type { AgentDialect } from '../../domain/task-stream.ts'
import { discardAnswer } from '../../upstream/agent-client.ts'
import type { ForwardTarget } from '../resolve-forward-target.ts'
import type { AgentStream } from '../streams/task-streams.ts'
import type { TaskTracker } from '../task-tracker.ts'
import { type AgentDialects, otherDialect } from './agent-dialect.ts'
import { type AgentReply, type ExchangeDeps, exchangeWithAgent } from './agent-exchange.ts'
import { waitsForWork } from './agent-patience.ts'
import { type AgentStreamDeps, adoptedStream } from './agent-stream.ts'
import type { GatewayAnswer, GatewayCall } from './gateway-call.ts'
import {
  assertInlinePush,
  type InlinePushDeps,
  inlinePush,
  keepInlinePush,
  withoutInlinePush,
} from './inline-push.ts'
import { callsWebhooks } from './push-ownership.ts'
import { envelopeFor, isToldAsWritten, type Reading } from './reply-for-sender.ts'
import { RPC, RpcRefusal, unsupportedOperation } from './rpc-problem.ts'
import { taskAgent } from './task-agent.ts'
import { paramsForAgent, type TaskAlias } from './task-alias.ts'

export type CallAgentDeps = ExchangeDeps &
  AgentStreamDeps &
  InlinePushDeps & { readonly dialects: AgentDialects; readonly tracker: TaskTracker }

export type AgentCall = {
  readonly target: ForwardTarget
  readonly request: RpcRequest
  /** The text of `request`, complete: it has an id. */
  readonly bytes: Buffer
  readonly traits: MethodTraits
  /** How the caller reads the answer, and under which id. */
  readonly dialect: SpokenDialect
  readonly id: RpcId
  /** Whether `bytes` has that id, so that the agent says it by itself. */
  readonly isIdSent: boolean
  /** Of the caller's headers those that go on. */
  readonly headers: Readonly<Record<string, string>>
  readonly requestId: string
  readonly deliveryId?: string
  readonly alias?: TaskAlias | undefined
  /** Who may come back to a stream: `senderText`. */
  readonly sender: string
  /** Once, with the first event of a stream; undefined when it had none. */
  readonly onFirst?: AgentStream['onFirst']
  readonly viewEvent?: GatewayCall['viewEvent']
  readonly signal: AbortSignal
}

/** Throws what `exchangeWithAgent` throws, and `workspace_invalid_response` for what nobody can read. */
export async function callAgent(deps: CallAgentDeps, call: AgentCall): Promise<GatewayAnswer> {
  const { row } = call.target
  const own = ownDialect(call)
  const { operation } = call.traits
  const chosen = operation === undefined ? own : deps.dialects.choose(row, own)
  const reply = await attempt(deps, call, { own, to: chosen })
  if (operation === undefined || !isUnknownMethod(reply))
    return told(deps, call, { reply, from: chosen })
  const other = otherDialect(chosen)
  // That it does not know the method proves that it has done nothing.
  if (methodName(operation, other) === undefined) return told(deps, call, { reply, from: chosen })
  const second = await attempt(deps, call, { own, to: other })
  if (isUnknownMethod(second)) return told(deps, call, { reply, from: chosen })
  // Only what was done proves that the other version is spoken: many agents lack some methods of their own.
  if (isDone(second)) deps.dialects.noteRefusal(row, chosen)
  return told(deps, call, { reply: second, from: other })
}

function isUnknownMethod(reply: AgentReply): boolean {
  if (reply.kind === 'stream') return false
  const { error } = reply.envelope
  return isJsonObject(error) && error['code'] === RPC.methodNotFound
}

function isDone(reply: AgentReply): boolean {
  return reply.kind === 'stream' || !isJsonObject(reply.envelope['error'])
}

function ownDialect({ traits }: AgentCall): AgentDialect {
  return traits.dialect === '1.0' ? '1.0' : '0.3'
}

type Direction = { readonly own: AgentDialect; readonly to: AgentDialect }

async function attempt(
  deps: CallAgentDeps,
  call: AgentCall,
  direction: Direction,
): Promise<AgentReply> {
  const push = inlinePushOf(call, direction)
  if (push !== undefined) await assertInlinePush(deps, push)
  return await exchangeWithAgent(deps, {
    target: call.target,
    body: bodyFor(call, direction),
    headers: headersFor(call, direction.to),
    requestId: call.requestId,
    deliveryId: call.deliveryId,
    isBlocking: waitsForWork(call),
    signal: call.signal,
  })
}

/** A webhook that the agent would not call, or in another dialect than its owner's. */
function inlinePushOf(call: AgentCall, { own, to }: Direction): JsonObject | undefined {
  const isOurs = own !== to || !callsWebhooks(call.target.row)
  return call.traits.carriesMessage && isOurs ? inlinePush(call.request.params) : undefined
}

/** The webhook is there before the first event of a stream is kept, and told of it. */
function firstWithPush(
  deps: CallAgentDeps,
  call: AgentCall,
  { own, to }: Direction,
): AgentStream['onFirst'] {
  const { onFirst, sender, alias } = call
  const config = inlinePushOf(call, { own, to })
  if (config === undefined) return onFirst
  return async (first) => {
    onFirst?.(first)
    const taskId = alias?.known ?? first?.taskId
    if (taskId === undefined) return
    const key = { workspaceId: call.target.workspaceId, taskId }
    await keepInlinePush(deps, { key, sender, dialect: own, config })
  }
}

/** Of a task whose agent has answered at once, somebody has to follow what becomes of it. */
function followForPush(
  deps: CallAgentDeps,
  call: AgentCall,
  answered: Direction & { readonly upstreamTaskId: string | undefined },
): void {
  const { own, to, upstreamTaskId } = answered
  const { sender, alias } = call
  const { workspaceId } = call.target
  const config = inlinePushOf(call, answered)
  if (config === undefined || upstreamTaskId === undefined) return
  const key = { workspaceId, taskId: alias?.known ?? upstreamTaskId }
  deps.tracker.run(async () => {
    if (!(await keepInlinePush(deps, { key, sender, dialect: own, config }))) return
    const agentOf = (taskId: string) =>
      taskAgent(deps, { workspaceId, dialect: to, upstreamTaskId: taskId })
    await deps.streams.watch({ key, sender, dialect: to, upstreamTaskId, agentOf })
  })
}

function bodyFor(call: AgentCall, { own, to }: Direction): Buffer {
  const { request, traits, alias, bytes } = call
  const { operation } = traits
  const params = alias === undefined ? request.params : paramsForAgent(request.params, alias)
  if (operation === undefined || own === to) {
    const hasPush = inlinePushOf(call, { own, to }) !== undefined
    const told = hasPush ? withoutInlinePush(params) : params
    return told === request.params ? bytes : textOf(request.envelope, { params: told })
  }
  const method = methodName(operation, to)
  // Nothing that an agent of the other version could be asked.
  if (method === undefined) throw new RpcRefusal(unsupportedOperation('the agent lacks it'))
  return textOf(request.envelope, {
    method,
    params: translateRequest({ operation, params: withoutInlinePush(params) }, own, to),
  })
}

function textOf(envelope: JsonObject, changed: object): Buffer {
  return Buffer.from(JSON.stringify({ id: '', ...envelope, ...changed }))
}

/** An agent of 1.0 takes a request without its version for one of 0.3 (contract/a2a 1.8). */
function headersFor(call: AgentCall, to: AgentDialect): Record<string, string> {
  if (call.traits.operation === undefined) return { ...call.headers }
  const { 'a2a-extensions': extensions, 'x-a2a-extensions': legacy, ...rest } = call.headers
  const wanted = extensions ?? legacy
  const name = to === '1.0' ? 'a2a-extensions' : 'x-a2a-extensions'
  return {
    ...rest,
    'a2a-version': to,
    ...(wanted === undefined ? {} : { [name]: wanted }),
  }
}

type Said = { readonly reply: AgentReply; readonly from: AgentDialect }

function told(deps: CallAgentDeps, call: AgentCall, { reply, from }: Said): GatewayAnswer {
  const { operation } = call.traits
  const { status } = reply
  const headers = passedBack(reply)
  const { dialect: to, id, alias, viewEvent: view } = call
  const own = ownDialect(call)
  const historyLength = historyLengthOf(call.request.params)
  const reading: Reading = { operation, from, to, id, alias, view, historyLength }
  if (reply.kind === 'stream') {
    // Who did not ask for events cannot read them.
    if (operation !== undefined && !call.traits.isStreaming) {
      discardAnswer(reply.body)
      throw new AppError('workspace_invalid_response')
    }
    const { workspaceId } = call.target
    const { sender } = call
    const onFirst = firstWithPush(deps, call, { own, to: from })
    const stream = { workspaceId, sender, dialect: from, body: reply.body, onFirst }
    // Of a method that nobody specified, nobody knows what its events mean.
    const body =
      operation === undefined
        ? reply.body
        : adoptedStream(
            deps,
            { ...stream, alias: alias?.known },
            { ...reading, isOwnId: call.isIdSent },
          )
    return { kind: 'stream', status, headers, body }
  }
  const facts = factsOf(reply.envelope['result'])
  followForPush(deps, call, { own, to: from, upstreamTaskId: facts?.taskId })
  return { kind: 'json', status, headers, body: jsonFor(reply, reading), facts }
}

function jsonFor(reply: Extract<AgentReply, { kind: 'json' }>, reading: Reading): Buffer {
  const { body, envelope } = reply
  if (isToldAsWritten(reading, envelope)) {
    return answerWithId({ bytes: body, envelope }, reading.id)
  }
  const lossless = readLossless(body.toString('utf8'))
  const readable = isJsonObject(lossless) ? envelopeFor(lossless, reading) : undefined
  if (readable === undefined) throw new AppError('workspace_invalid_response')
  return Buffer.from(JSON.stringify(readable))
}

/** Which extensions the agent has made use of (contract/a2a 1.8). */
function passedBack(reply: AgentReply): Record<string, string> {
  const names = ['a2a-extensions', 'x-a2a-extensions']
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = reply.headers[name]
      return typeof value === 'string' ? [[name, value]] : []
    }),
  )
}
