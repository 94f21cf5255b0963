/**
 * @module A message in the ledger as those see it whom it concerns (contract/platform 4.8): who sent it,
 * whom it is for, and operators. To everybody else it looks like one that is not there.
 */
import { AppError } from '@atrium/http-kit/app-error'
import { z } from 'zod'
import type { Db } from '../../db/client.ts'
import { dropWaiting, findDelivery, queuePlace } from '../../db/delivery-store.ts'
import type { Sender } from '../../domain/caller.ts'
import type { Delivery } from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'

export type QueueQuestion = {
  readonly caller: Sender
  readonly workspaceId: WorkspaceId
  readonly queueId: string
}

export type QueueEntry = {
  readonly delivery: Delivery
  /** undefined: it does not wait. */
  readonly place: { readonly depth: number; readonly position: number } | undefined
}

/** Throws `delivery_not_found`. */
export async function readQueueEntry(
  deps: { readonly db: Db },
  question: QueueQuestion,
): Promise<QueueEntry> {
  const delivery = await findConcerned(deps.db, question)
  const isWaiting = delivery.state === 'queued' || delivery.state === 'leased'
  return { delivery, place: isWaiting ? await queuePlace(deps.db, delivery) : undefined }
}

/**
 * Takes a message out of the queue that nobody has begun with. Throws `delivery_not_found`,
 * `delivery_not_cancelable`.
 */
export async function cancelQueueEntry(
  deps: { readonly db: Db },
  question: QueueQuestion,
): Promise<void> {
  const delivery = await findConcerned(deps.db, question)
  if (await dropWaiting(deps.db, delivery.id, cancelledBy(question.caller, delivery))) return
  const { state } = await findConcerned(deps.db, question)
  throw new AppError('delivery_not_cancelable', { extensions: { queue_id: delivery.id, state } })
}

function cancelledBy(caller: Sender, delivery: Delivery): string {
  if (caller.kind !== 'workspace') return 'canceled by an operator'
  const isSender = caller.workspaceId === delivery.senderWorkspaceId
  return isSender ? 'canceled by its sender' : 'canceled by its receiver'
}

async function findConcerned(db: Db, question: QueueQuestion): Promise<Delivery> {
  const { caller, workspaceId, queueId } = question
  const delivery = z.guid().safeParse(queueId).success ? await findDelivery(db, queueId) : undefined
  if (delivery === undefined || delivery.workspaceId !== workspaceId) {
    throw new AppError('delivery_not_found')
  }
  if (!concerns(delivery, caller)) throw new AppError('delivery_not_found')
  return delivery
}

function concerns(delivery: Delivery, caller: Sender): boolean {
  if (caller.kind !== 'workspace') return caller.kind === 'operator'
  return [delivery.workspaceId, delivery.senderWorkspaceId].includes(caller.workspaceId)
}
