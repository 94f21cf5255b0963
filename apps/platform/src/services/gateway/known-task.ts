/** @module Tasks that their senders know by the id of a delivery (contract/a2a 2.8, ADR-0032). */
import { isJsonObject, type JsonValue, readLossless } from '@atrium/a2a-schema/lossless-json'
import type { Db } from '../../db/client.ts'
import { findDelivery } from '../../db/delivery-store.ts'
import type { Sender } from '../../domain/caller.ts'
import type { Delivery } from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { isOperatorText, senderText } from './sender-text.ts'
import type { TaskAlias } from './task-alias.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** The id of the task that a request is about, in every dialect; undefined for none. */
export function taskIdOf(params: JsonValue | undefined): string | undefined {
  if (!isJsonObject(params)) return undefined
  const { message } = params
  const id = isJsonObject(message) ? message['taskId'] : (params['taskId'] ?? params['id'])
  return typeof id === 'string' && id !== '' ? id : undefined
}

/** The same of a request as it is kept. */
export function taskIdIn(request: Buffer): string | undefined {
  const envelope = request.length === 0 ? undefined : readLossless(request.toString('utf8'))
  return isJsonObject(envelope) ? taskIdOf(envelope['params']) : undefined
}

type Question = { readonly workspaceId: WorkspaceId; readonly taskId: string | undefined }
export type TaskQuestion = Question & { readonly caller: Sender }
/** Of a sender as the ledger has it. */
export type KnownTaskQuestion = Question & { readonly sender: string }

/**
 * The delivery under whose id the caller knows the task. Of somebody else's, and of one that is not
 * there, the answer is the same: undefined, and the agent is asked.
 */
export async function deliveryOfTask(
  db: Db,
  { caller, ...question }: TaskQuestion,
): Promise<Delivery | undefined> {
  return await deliveryKnownTo(db, { ...question, sender: senderText(caller) })
}

/** The same for who is not on the line. */
export async function deliveryKnownTo(
  db: Db,
  { workspaceId, sender, taskId }: KnownTaskQuestion,
): Promise<Delivery | undefined> {
  if (taskId === undefined || !UUID.test(taskId)) return undefined
  const delivery = await findDelivery(db, taskId)
  if (delivery?.workspaceId !== workspaceId) return undefined
  // People who run the workspace see what others have sent to it.
  return delivery.sender === sender || isOperatorText(sender) ? delivery : undefined
}

/** undefined: the agent has not said yet what it calls the task. */
export function aliasOf(delivery: Delivery): TaskAlias | undefined {
  const { id: known, upstreamTaskId: upstream } = delivery
  return upstream === null || upstream === known ? undefined : { known, upstream }
}
