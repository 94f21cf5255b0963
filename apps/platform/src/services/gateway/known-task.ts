/** @module Tasks that their senders know by the id of a delivery (contract/a2a 2.8, ADR-0032). */
import { isJsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import type { Db } from '../../db/client.ts'
import { findDelivery } from '../../db/delivery-store.ts'
import type { Sender } from '../../domain/caller.ts'
import type { Delivery } from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { senderText } from './sender-text.ts'
import type { TaskAlias } from './task-alias.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** The id of the task that a request is about, in every dialect; undefined for none. */
export function taskIdOf(params: JsonValue | undefined): string | undefined {
  if (!isJsonObject(params)) return undefined
  const { message } = params
  const id = isJsonObject(message) ? message['taskId'] : (params['taskId'] ?? params['id'])
  return typeof id === 'string' && id !== '' ? id : undefined
}

export type TaskQuestion = {
  readonly workspaceId: WorkspaceId
  readonly caller: Sender
  readonly taskId: string | undefined
}

/**
 * The delivery under whose id the caller knows the task. Of somebody else's, and of one that is not
 * there, the answer is the same: undefined, and the agent is asked.
 */
export async function deliveryOfTask(
  db: Db,
  { workspaceId, caller, taskId }: TaskQuestion,
): Promise<Delivery | undefined> {
  if (taskId === undefined || !UUID.test(taskId)) return undefined
  const delivery = await findDelivery(db, taskId)
  if (delivery?.workspaceId !== workspaceId) return undefined
  const isOwn = delivery.sender === senderText(caller)
  return isOwn || seesEverything(caller) ? delivery : undefined
}

/** People who run the workspace see what others have sent to it. */
function seesEverything(caller: Sender): boolean {
  return caller.kind === 'operator'
}

/** undefined: the agent has not said yet what it calls the task. */
export function aliasOf(delivery: Delivery): TaskAlias | undefined {
  const { id: known, upstreamTaskId: upstream } = delivery
  return upstream === null || upstream === known ? undefined : { known, upstream }
}
