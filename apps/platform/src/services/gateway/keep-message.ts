/**
 * @module A message for an agent that fetches its messages (contract/platform 4.4): what is
 * acknowledged is stored, and under its id the sender asks for the answer (contract/a2a 2.8).
 */
import type { JsonObject } from '@atrium/a2a-schema/lossless-json'
import { methodTraits } from '@atrium/a2a-schema/method'
import { AppError } from '@atrium/http-kit/app-error'
import { deliverByPoll, noteForPoll, type PollDeps } from '../deliver-by-poll.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import { answerKnown, type KnownDeps } from './answer-known.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { assertInlinePush, type InlinePushDeps, inlinePush, keepInlinePush } from './inline-push.ts'
import { newDelivery } from './new-delivery.ts'
import { queuedReply } from './queued-answer.ts'
import type { ReadableMessage } from './readable-message.ts'
import { senderText } from './sender-text.ts'

export type KeepDeps = PollDeps & KnownDeps & InlinePushDeps & { readonly ledger: DeliveryLedger }

/** Throws what `deliverByPoll` throws, `idempotency_conflict`, `queue_full`, `workspace_not_found`. */
export async function keepMessage(
  deps: KeepDeps,
  message: ReadableMessage,
): Promise<GatewayAnswer> {
  const { call, given, request } = message
  const polled = { ...message, sender: call.caller }
  if (!methodTraits(request.method).carriesMessage) {
    await noteForPoll(deps, polled)
    const noted = { status: 'queued', delivery_mode: 'poll', method: request.method }
    return { kind: 'json', status: 200, body: Buffer.from(JSON.stringify(noted)) }
  }
  const delivery = newDelivery(deps, {
    workspaceId: call.workspaceId,
    sender: call.caller,
    given,
    request,
    bytes: message.bytes,
    mode: 'poll',
    headers: {},
    key: call.headers('idempotency-key'),
    isIdempotentAgent: false,
    activityId: null,
  })
  const push = inlinePush(request.params)
  if (push !== undefined) await assertInlinePush(deps, push)
  const kept = await deliverByPoll(deps, polled, delivery)
  switch (kept.kind) {
    case 'queued':
      if (push !== undefined) await keepPush(deps, message, { push, deliveryId: delivery.id })
      return queuedReply(deps, message, { delivery })
    case 'known':
      return await answerKnown(deps, message, kept.delivery)
    case 'conflict':
      throw new AppError('idempotency_conflict', { extensions: { queue_id: kept.id } })
    case 'full':
      throw new AppError('queue_full', { extensions: { queue_depth: kept.depth } })
    case 'absent':
      throw new AppError('workspace_not_found')
  }
}

/** A webhook that comes with a message is called when that has been answered, or has failed. */
async function keepPush(
  deps: KeepDeps,
  { call, dialect }: ReadableMessage,
  { push, deliveryId }: { readonly push: JsonObject; readonly deliveryId: string },
): Promise<void> {
  await keepInlinePush(deps, {
    key: { workspaceId: call.workspaceId, taskId: deliveryId },
    sender: senderText(call.caller),
    dialect: dialect === '1.0' ? '1.0' : '0.3',
    config: push,
    deliveryId,
  })
}
