/**
 * @module Messages whose way has gone: those of a workspace that was removed or has failed end, and
 * those that were to be sent to an agent which fetches its messages by now are put where it finds them
 * (ADR-0032).
 */
import { parseRpcRequest } from '@atrium/a2a-schema/json-rpc'
import { isJsonObject, readLossless } from '@atrium/a2a-schema/lossless-json'
import { isStorableJson } from '@atrium/runtime-contract/registration'
import type { NewActivity } from '../../db/activity-store.ts'
import type { Db } from '../../db/client.ts'
import { failOfEnded } from '../../db/delivery-queue-writes.ts'
import { dropWaiting } from '../../db/delivery-store.ts'
import {
  handOver,
  lockStranded,
  type StrandedDelivery,
  strandedDeliveries,
} from '../../db/poll-writes.ts'
import { findLiveWorkspace } from '../../db/workspace-store.ts'
import type { PollDeps } from '../deliver-by-poll.ts'
import { tellOfActivity } from '../log-activity.ts'
import { messageActivity } from '../log-message.ts'
import type { PassResult } from '../sweeps/sweep.ts'
import { taskIdIn } from './known-task.ts'
import { messageTask } from './message-task.ts'
import { POLL_EXPIRY_MS } from './new-delivery.ts'
import { senderOf } from './sender-text.ts'
import { paramsForAgent } from './task-alias.ts'

const BATCH = 200

/** One pass, safe on every replica at once. */
export async function rescueStranded(deps: PollDeps): Promise<PassResult> {
  const failed = await failOfEnded(deps.db, BATCH)
  let handedOver = 0
  for (const id of await strandedDeliveries(deps.db, BATCH)) {
    const activity = await deps.db.transaction((tx) => rescue(deps, tx, id))
    if (activity === undefined) continue
    tellOfActivity(deps.events, activity)
    handedOver += 1
  }
  return { failed: failed.length, handed_over: handedOver }
}

async function rescue(deps: PollDeps, tx: Db, id: string): Promise<NewActivity | undefined> {
  const delivery = await lockStranded(tx, id)
  if (delivery === undefined) return undefined
  const activity = await activityOf(deps, tx, delivery)
  if (activity === undefined) {
    await dropWaiting(
      tx,
      id,
      'its agent fetches messages now, and this one cannot be kept for that',
    )
    return undefined
  }
  const expiresAt = new Date(deps.clock.now().getTime() + POLL_EXPIRY_MS)
  await handOver(tx, delivery, { activity, expiresAt })
  return activity
}

/** undefined: the log cannot hold it. */
async function activityOf(
  deps: PollDeps,
  tx: Db,
  delivery: StrandedDelivery,
): Promise<NewActivity | undefined> {
  const target = await findLiveWorkspace(tx, delivery.workspaceId)
  const parsed = parseRpcRequest(delivery.request, { uuid: () => delivery.id })
  if (target === undefined || !parsed.ok) return undefined
  const requestBody = await bodyFor(tx, delivery)
  if (requestBody === undefined || !isStorableJson(requestBody)) return undefined
  const message = { sender: senderOf(delivery), target, request: parsed.request }
  const createdAt = deps.clock.now()
  return { ...messageActivity(message), id: deps.ids.uuid(), requestBody, createdAt }
}

/** A task that its agent has been sent before, it knows by no other name than its own. */
async function bodyFor(tx: Db, { workspaceId, sender, request }: StrandedDelivery) {
  const body = readLossless(request.toString('utf8'))
  const task = await messageTask(tx, { workspaceId, sender, taskId: taskIdIn(request) })
  if (task.kind !== 'alias' || !isJsonObject(body)) return body
  return { ...body, params: paramsForAgent(body['params'], task.alias) ?? null }
}
