/**
 * @module The events of a task that goes on: what is kept of them after the reader's place, then what
 * is told from now on; the agent is asked only for what nobody reads yet (contract/a2a 2.6, 2.7).
 */
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import { isFinalState } from '../../domain/delivery.ts'
import { cursorOf, type TaskKey } from '../../domain/task-stream.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import { type AskDeps, askAgent } from './ask-agent.ts'
import { taskOfDelivery } from './delivery-task.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { aliasOf, deliveryOfTask, taskIdOf } from './known-task.ts'
import { queuedFlow } from './queued-stream.ts'
import type { ReadableMessage } from './readable-message.ts'
import { RpcRefusal, taskNotFound, unsupportedOperation } from './rpc-problem.ts'
import { senderText } from './sender-text.ts'
import { streamAnswer } from './stream-answer.ts'

export type SubscribeDeps = AskDeps & { readonly ledger: DeliveryLedger }

export async function subscribeToTask(
  deps: SubscribeDeps,
  message: ReadableMessage,
  mode: DeliveryMode,
): Promise<GatewayAnswer> {
  const { call } = message
  const taskId = taskIdOf(message.request.params) ?? ''
  const resumed = await resume(deps, message, { workspaceId: call.workspaceId, taskId })
  if (resumed !== undefined) return resumed
  const delivery = await deliveryOfTask(deps.db, { ...call, taskId })
  const alias = delivery && aliasOf(delivery)
  if (delivery !== undefined && alias === undefined) {
    if (isFinalState(delivery.state)) throw new RpcRefusal(ended())
    const task = taskOfDelivery(delivery, '1.0')
    const first = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: null, result: { task } }))
    const flow = queuedFlow(deps, { ...call, deliveryId: delivery.id, first })
    return streamAnswer(deps, message, flow)
  }
  if (mode === 'poll') throw new RpcRefusal(taskNotFound(taskId))
  return await askAgent(deps, message, alias)
}

function ended() {
  return unsupportedOperation('the task has ended')
}

/** Where the reader has been before and everything since is kept: from there on. */
async function resume(
  deps: SubscribeDeps,
  message: ReadableMessage,
  key: TaskKey,
): Promise<GatewayAnswer | undefined> {
  const { call } = message
  const after = cursorOf(call.headers('last-event-id'), key.taskId)
  if (after === undefined) return undefined
  const stream = await deps.streams.find(key)
  const isOwn = call.caller.kind === 'operator' || stream?.sender === senderText(call.caller)
  if (stream === undefined || !isOwn || !(await deps.streams.isResumable(key, after)))
    return undefined
  return streamAnswer(deps, message, deps.streams.follow(key, after))
}
