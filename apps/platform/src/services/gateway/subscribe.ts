/**
 * @module The events of a task that goes on: what is kept of them after the reader's place, then what
 * is told from now on; the agent is asked only for what nobody reads yet (contract/a2a 2.6, 2.7).
 */
import { isJsonObject, type JsonObject } from '@atrium/a2a-schema/lossless-json'
import { isTerminal, readState } from '@atrium/a2a-schema/task-state'
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import { findRequest } from '../../db/delivery-store.ts'
import { isFinalState } from '../../domain/delivery.ts'
import {
  cursorOf,
  type EventFlow,
  type StreamedEvent,
  type TaskKey,
} from '../../domain/task-stream.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import { renameTaskIn } from '../streams/rename-task.ts'
import { taskEvent } from '../streams/stream-event.ts'
import { agentOfTask, askedTask, dialectsOf } from './agent-of-task.ts'
import { type AskDeps, askAgent } from './ask-agent.ts'
import { taskOfDelivery } from './delivery-task.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { aliasOf, deliveryOfTask, taskIdIn, taskIdOf } from './known-task.ts'
import { queuedFlow } from './queued-stream.ts'
import type { ReadableMessage } from './readable-message.ts'
import { RpcRefusal, taskNotFound, unsupportedOperation } from './rpc-problem.ts'
import { senderText } from './sender-text.ts'
import { streamAnswer } from './stream-answer.ts'
import { taskAgent } from './task-agent.ts'

export type SubscribeDeps = AskDeps & { readonly ledger: DeliveryLedger }

/** An agent that does not answer in this time is not waited for: the events say the rest. */
const ASK_MS = 5_000

export async function subscribeToTask(
  deps: SubscribeDeps,
  message: ReadableMessage,
  mode: DeliveryMode,
): Promise<GatewayAnswer> {
  const { call } = message
  const taskId = taskIdOf(message.request.params) ?? ''
  const resumed = await followKept(deps, message, { workspaceId: call.workspaceId, taskId })
  if (resumed !== undefined) return resumed
  const delivery = await deliveryOfTask(deps.db, { ...call, taskId })
  const alias = delivery && aliasOf(delivery)
  if (delivery !== undefined && alias === undefined) {
    if (isFinalState(delivery.state)) throw new RpcRefusal(ended())
    const task = taskOfDelivery(delivery, '1.0')
    const first = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: null, result: { task } }))
    const request = await findRequest(deps.db, delivery.id)
    const flow = queuedFlow(deps, {
      ...{ workspaceId: call.workspaceId, deliveryId: delivery.id, first },
      taskId: request && taskIdIn(request),
    })
    return streamAnswer(deps, message, flow)
  }
  if (mode === 'poll') throw new RpcRefusal(taskNotFound(taskId))
  await assertGoesOn(deps, message)
  return await askAgent(deps, message, alias)
}

function ended() {
  return unsupportedOperation('the task has ended')
}

/**
 * From the one stream that is read of the task: where everything since the reader's place is kept,
 * from there on, and otherwise from now on. The task as it is comes first (contract/a2a 2.7).
 */
async function followKept(
  deps: SubscribeDeps,
  message: ReadableMessage,
  key: TaskKey,
): Promise<GatewayAnswer | undefined> {
  const { call } = message
  const stream = await deps.streams.find(key)
  const isOwn = call.caller.kind === 'operator' || stream?.sender === senderText(call.caller)
  if (stream === undefined || !isOwn) return undefined
  const place = cursorOf(call.headers('last-event-id'), key.taskId)
  const isReplay = place !== undefined && (await deps.streams.isResumable(key, place))
  if (stream.isEnded && !isReplay) return undefined
  const after = isReplay ? place : (deps.streams.lastSeqHere(key) ?? stream.lastSeq)
  const flow = deps.streams.follow(key, after)
  const asked = await taskAgent(deps, stream).askTask(AbortSignal.timeout(ASK_MS))
  if (asked.kind !== 'task') return streamAnswer(deps, message, flow)
  const task = { ...asked.task, ...(isReplay ? replayedFrom(asked.task, place) : {}) }
  const first = renameTaskIn(taskEvent(task, stream.dialect), stream.upstreamTaskId, key.taskId)
  return streamAnswer(deps, message, beginningWith(first, flow))
}

const REPLAYED_FROM = 'urn:atrium:a2a:replayed-from'

/** Says that what follows was told before, to who keeps count. */
function replayedFrom({ metadata }: JsonObject, place: number): JsonObject {
  return { metadata: { ...(isJsonObject(metadata) ? metadata : {}), [REPLAYED_FROM]: place } }
}

function beginningWith(first: Buffer, flow: EventFlow): EventFlow {
  async function* events(): AsyncGenerator<StreamedEvent> {
    yield { seq: undefined, taskId: undefined, data: first, dialect: '0.3' }
    yield* flow
  }
  const all = events()
  return { [Symbol.asyncIterator]: () => all, close: () => flow.close() }
}

/** A 0.3 agent answers with a stream whatever is wrong; 1.0 wants to know before (contract/a2a 2.6). */
async function assertGoesOn(deps: SubscribeDeps, message: ReadableMessage): Promise<void> {
  const { own, to } = dialectsOf(deps, message)
  if (own !== '1.0' || to !== '0.3') return
  const task = await askedTask(await agentOfTask(deps, message))
  const status = task?.['status']
  const state = isJsonObject(status) ? readState(status['state']) : undefined
  if (state !== undefined && isTerminal(state)) throw new RpcRefusal(ended())
}
