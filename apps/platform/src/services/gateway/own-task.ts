/**
 * @module Questions about tasks that are deliveries of the platform: it answers them itself where the
 * agent has not got the task, and asks under the agent's name for it where it has (contract/a2a 2.8).
 */
import type { JsonValue } from '@atrium/a2a-schema/lossless-json'
import { findAppError } from '@atrium/http-kit/app-error'
import { dropWaiting, findDelivery } from '../../db/delivery-store.ts'
import type { Delivery } from '../../domain/delivery.ts'
import { type AskDeps, askAgent } from './ask-agent.ts'
import { taskOfDelivery } from './delivery-task.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { aliasOf } from './known-task.ts'
import type { ReadableMessage } from './readable-message.ts'
import { RpcRefusal, taskNotCancelable, taskNotFound } from './rpc-problem.ts'

/** `tasks/get`: as the agent says, and what is kept when it cannot be asked or has forgotten. */
export async function getOwnTask(
  deps: AskDeps,
  message: ReadableMessage,
  delivery: Delivery,
): Promise<GatewayAnswer> {
  const alias = aliasOf(delivery)
  if (alias === undefined || delivery.mode === 'poll') return kept(message, delivery)
  try {
    const answer = await askAgent(deps, message, alias)
    return answer.kind === 'json' && answer.facts === undefined ? kept(message, delivery) : answer
  } catch (error) {
    if (findAppError(error) === undefined) throw error
    return kept(message, delivery)
  }
}

const CANCELED = 'canceled by its sender'

/** `tasks/cancel`: what waits is dropped; what the agent has is the agent's to end. */
export async function cancelOwnTask(
  deps: AskDeps,
  message: ReadableMessage,
  delivery: Delivery,
): Promise<GatewayAnswer> {
  if (delivery.state === 'queued' && (await dropWaiting(deps.db, delivery.id, CANCELED))) {
    const dropped = await findDelivery(deps.db, delivery.id)
    if (dropped === undefined) throw new RpcRefusal(taskNotFound(delivery.id))
    return kept(message, dropped)
  }
  // It may have begun meanwhile.
  const now = (await findDelivery(deps.db, delivery.id)) ?? delivery
  const alias = aliasOf(now)
  if (alias === undefined || now.mode === 'poll') throw new RpcRefusal(taskNotCancelable(now.id))
  return await askAgent(deps, message, alias)
}

function kept(message: ReadableMessage, delivery: Delivery): GatewayAnswer {
  return resultAnswer(message, taskOfDelivery(delivery, message.dialect))
}

export function resultAnswer(message: ReadableMessage, result: JsonValue): GatewayAnswer {
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: message.given.id, result }))
  return { kind: 'json', status: 200, body }
}
