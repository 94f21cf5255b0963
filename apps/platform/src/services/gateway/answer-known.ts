/** @module The answer to a message that its sender has sent before (ADR-0032). */

import type { RpcId } from '@atrium/a2a-schema/json-rpc'
import { replaceId } from '@atrium/a2a-schema/replace-id'
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../../db/client.ts'
import { queuePlace } from '../../db/delivery-store.ts'
import type { Delivery } from '../../domain/delivery.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { type QueuedReplyDeps, queuedAnswer, wantsEvents } from './queued-answer.ts'
import { queuedFlow } from './queued-stream.ts'
import type { ReadableMessage } from './readable-message.ts'
import { streamAnswer } from './stream-answer.ts'

export type KnownDeps = QueuedReplyDeps & {
  readonly db: Db
  readonly clock: Clock
  readonly ledger: DeliveryLedger
}

/** So long a repetition waits for the answer to the first one. */
const JOIN_MS = 600_000

/** The same answer under the caller's new id; one that is still on its way is waited for. */
export async function answerKnown(
  deps: KnownDeps,
  message: ReadableMessage,
  known: Delivery,
): Promise<GatewayAnswer> {
  const { id } = message.given
  switch (known.state) {
    case 'queued':
    case 'leased':
      return await stillWaiting(deps, message, known)
    case 'dispatched': {
      const deadline = AbortSignal.timeout(JOIN_MS)
      const signal = AbortSignal.any([deadline, message.call.signal])
      const over = await deps.ledger.whenOver(known.id, signal)
      if (over === undefined || over.state === 'dispatched') throw new AppError('workspace_timeout')
      return await answerKnown(deps, message, over)
    }
    case 'completed':
      return (await streamedBefore(deps, message, known)) ?? answered(known, id)
    default:
      throw endOf(known)
  }
}

async function stillWaiting(
  deps: KnownDeps,
  message: ReadableMessage,
  known: Delivery,
): Promise<GatewayAnswer> {
  const { workspaceId, id: deliveryId, mode } = known
  const queue = mode === 'poll' ? undefined : await queuePlace(deps.db, known)
  const body = queuedAnswer({
    ...{ id: message.given.id, dialect: known.dialect, method: message.given.method },
    ...{ queueId: deliveryId, contextId: known.contextId ?? deliveryId },
    ...{ at: known.enqueuedAt, queue },
  })
  if (!wantsEvents(message)) return { kind: 'json', status: mode === 'poll' ? 200 : 202, body }
  const flow = queuedFlow(deps, { workspaceId, deliveryId, first: body })
  return streamAnswer(deps, message, flow)
}

/** A stream is told again from its beginning, as far as that is kept, and on to its end. */
async function streamedBefore(
  deps: KnownDeps,
  message: ReadableMessage,
  known: Delivery,
): Promise<GatewayAnswer | undefined> {
  if (!known.isStreaming || known.response !== null) return undefined
  const { workspaceId, id, upstreamTaskId } = known
  for (const taskId of [id, upstreamTaskId ?? id]) {
    const key = { workspaceId, taskId }
    if ((await deps.streams.find(key)) === undefined) continue
    if (!(await deps.streams.isResumable(key, 0))) return undefined
    return streamAnswer(deps, message, deps.streams.follow(key, 0))
  }
  return undefined
}

function answered(known: Delivery, id: RpcId): GatewayAnswer {
  if (known.response === null) {
    throw new AppError('delivery_answer_gone', { extensions: { queue_id: known.id } })
  }
  const body = Buffer.from(replaceId(known.response, id))
  return { kind: 'json', status: known.responseStatus ?? 200, body }
}

function endOf(known: Delivery): AppError {
  const extensions = {
    queue_id: known.id,
    state: known.state,
    ...(known.reason === null ? {} : { reason: known.reason }),
  }
  return new AppError(
    known.reason === 'outcome_unknown' ? 'delivery_outcome_unknown' : 'delivery_failed',
    { extensions },
  )
}
