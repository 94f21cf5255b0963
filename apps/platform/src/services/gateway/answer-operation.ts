/** @module Which part of the gateway answers which operation (contract/a2a 1.1). */
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import type { Delivery } from '../../domain/delivery.ts'
import { isTranslated } from './agent-of-task.ts'
import { type AskDeps, askAgent } from './ask-agent.ts'
import type { DispatchDeps } from './dispatch-message.ts'
import { extendedCard } from './extended-card.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { type KeepDeps, keepMessage } from './keep-message.ts'
import { deliveryOfTask, taskIdOf } from './known-task.ts'
import { type ListTasksDeps, listOwnTasks } from './list-tasks.ts'
import { cancelOwnTask, getOwnTask } from './own-task.ts'
import type { PublicCardDeps } from './public-card.ts'
import { isPushOperation, type PushOperationDeps, pushOperation } from './push-operations.ts'
import { isPushOurs } from './push-ownership.ts'
import type { ReadableMessage } from './readable-message.ts'
import { methodNotFound, RpcRefusal, taskNotFound, unsupportedOperation } from './rpc-problem.ts'
import { sendMessage } from './send-message.ts'
import { subscribeToTask } from './subscribe.ts'

export type OperationDeps = AskDeps &
  DispatchDeps &
  KeepDeps &
  PublicCardDeps &
  ListTasksDeps &
  PushOperationDeps

export async function answerOperation(
  deps: OperationDeps,
  message: ReadableMessage,
  mode: DeliveryMode,
): Promise<GatewayAnswer> {
  switch (message.traits.operation) {
    case 'send':
    case 'stream':
      return mode === 'poll' ? await keepMessage(deps, message) : await sendMessage(deps, message)
    case 'get':
      return await onTask(deps, message, { mode, own: getOwnTask })
    case 'cancel':
      return await onTask(deps, message, { mode, own: cancelOwnTask })
    case 'subscribe':
      return await subscribeToTask(deps, message, mode)
    case 'extended_card':
      return await extendedCard(deps, message, mode)
    case undefined:
      if (mode === 'poll') throw new RpcRefusal(methodNotFound())
      return await askAgent(deps, message)
    default:
      return await perhapsInAgentsPlace(deps, message, mode)
  }
}

/** What an agent lacks that speaks another dialect, calls no webhooks, or is not called (contract/a2a 2.6). */
async function perhapsInAgentsPlace(
  deps: OperationDeps,
  message: ReadableMessage,
  mode: DeliveryMode,
): Promise<GatewayAnswer> {
  const { operation } = message.traits
  if (isPushOperation(operation) && (await isPushOurs(deps, message, mode))) {
    return await pushOperation(deps, message, { operation, mode })
  }
  const isListOurs = mode === 'poll' || isTranslated(deps, message)
  if (operation === 'list' && message.dialect === '1.0' && isListOurs) {
    return await listOwnTasks(deps, message)
  }
  if (mode === 'poll') {
    throw new RpcRefusal(unsupportedOperation('the agent fetches its messages'))
  }
  return await askAgent(deps, message)
}

type OwnAnswer = (
  deps: AskDeps,
  message: ReadableMessage,
  delivery: Delivery,
) => Promise<GatewayAnswer>

/** Of the tasks of an agent that fetches its messages, the ledger knows all there are. */
async function onTask(
  deps: AskDeps,
  message: ReadableMessage,
  { mode, own }: { readonly mode: DeliveryMode; readonly own: OwnAnswer },
): Promise<GatewayAnswer> {
  const taskId = taskIdOf(message.request.params)
  const delivery = await deliveryOfTask(deps.db, { ...message.call, taskId })
  if (delivery !== undefined) return await own(deps, message, delivery)
  if (mode === 'poll') throw new RpcRefusal(taskNotFound(taskId ?? ''))
  return await askAgent(deps, message)
}
