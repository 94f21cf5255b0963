/**
 * @module A message on its way to an agent that is called (contract/platform 4.2 steps 6 to 8): it
 * is written down, sent, and how that ended is written down (ADR-0032).
 */
import { AppError } from '@atrium/http-kit/app-error'
import { knowsDeliveries } from './agent-card.ts'
import { passedHeaders } from './agent-exchange.ts'
import { answerKnown } from './answer-known.ts'
import { whileCallerWaits } from './caller-patience.ts'
import { type DispatchDeps, dispatchNow } from './dispatch-message.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { taskIdOf } from './known-task.ts'
import { messageTarget } from './message-target.ts'
import { messageTask, overProblem } from './message-task.ts'
import { newDelivery } from './new-delivery.ts'
import { queuedReply } from './queued-answer.ts'
import type { ReadableMessage } from './readable-message.ts'
import { RpcRefusal } from './rpc-problem.ts'
import { senderText } from './sender-text.ts'

/**
 * Throws the errors of `resolveForwardTarget` and `exchangeWithAgent`, those of the ledger, and
 * `RpcRefusal` for a task that takes no messages.
 */
export async function sendMessage(
  deps: DispatchDeps,
  message: ReadableMessage,
): Promise<GatewayAnswer> {
  const target = await messageTarget(deps, message.target)
  const task = await taskOf(deps, message)
  // Written down under the name that its sender gave, which may have to wait: it is told under that.
  const alias = task.kind === 'alias' ? task.alias : undefined
  const delivery = newDelivery(deps, {
    workspaceId: target.workspaceId,
    sender: message.call.caller,
    given: message.given,
    request: message.request,
    bytes: message.bytes,
    mode: 'push',
    headers: passedHeaders(message.call.headers),
    key: message.call.headers('idempotency-key'),
    isIdempotentAgent: knowsDeliveries(message.target),
    activityId: null,
  })
  const accepted = await deps.ledger.accept(delivery)
  switch (accepted.kind) {
    case 'dispatched':
      return await whileCallerWaits(deps, { call: message.call, queueId: delivery.id }, (signal) =>
        dispatchNow(deps, {
          ...{ message: heardBy(message, signal), target, delivery, alias },
          isTaskUnnamed: task.kind === 'unnamed',
          claim: accepted.claim,
        }),
      )
    case 'queued':
      return queuedReply(deps, message, { ...accepted, delivery })
    case 'known':
      return await whileCallerWaits(
        deps,
        { call: message.call, queueId: accepted.delivery.id },
        (signal) => answerKnown(deps, heardBy(message, signal), accepted.delivery),
      )
    case 'conflict':
      throw new AppError('idempotency_conflict', { extensions: { queue_id: accepted.id } })
    case 'full':
      throw new AppError('queue_full', { extensions: { queue_depth: accepted.depth } })
    case 'absent':
      throw new AppError('workspace_not_found')
  }
}

function heardBy(message: ReadableMessage, signal: AbortSignal): ReadableMessage {
  return { ...message, call: { ...message.call, signal } }
}

/** Throws for a message that belongs to a task which its agent has never had. */
async function taskOf(deps: DispatchDeps, { call, request }: ReadableMessage) {
  const { workspaceId, caller } = call
  const taskId = taskIdOf(request.params)
  const task = await messageTask(deps.db, { workspaceId, sender: senderText(caller), taskId })
  if (task.kind === 'over') throw new RpcRefusal(overProblem(task.delivery))
  return task
}
