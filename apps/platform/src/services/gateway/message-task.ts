/**
 * @module The task that a message belongs to, when its sender knows that by the id of a delivery: what
 * its agent calls it, and whether it can be told yet (contract/a2a 2.8).
 */
import type { Db } from '../../db/client.ts'
import { type Delivery, isFinalState } from '../../domain/delivery.ts'
import { whyFailed } from './delivery-task.ts'
import { aliasOf, deliveryKnownTo, type KnownTaskQuestion } from './known-task.ts'
import { type RpcProblem, taskOver } from './rpc-problem.ts'
import type { TaskAlias } from './task-alias.ts'

export type MessageTask =
  /** The sender calls it what the agent calls it, or begins one. */
  | { readonly kind: 'same' }
  | { readonly kind: 'alias'; readonly alias: TaskAlias }
  /** Its agent may still name it. */
  | { readonly kind: 'unnamed'; readonly delivery: Delivery }
  /** Its agent never will. */
  | { readonly kind: 'over'; readonly delivery: Delivery }

export async function messageTask(db: Db, question: KnownTaskQuestion): Promise<MessageTask> {
  const delivery = await deliveryKnownTo(db, question)
  if (delivery === undefined) return { kind: 'same' }
  const alias = aliasOf(delivery)
  if (alias !== undefined) return { kind: 'alias', alias }
  // Who fetches its messages calls their tasks by the ids of their deliveries.
  if (delivery.upstreamTaskId !== null || delivery.mode === 'poll') return { kind: 'same' }
  return { kind: isFinalState(delivery.state) ? 'over' : 'unnamed', delivery }
}

/** What the sender of a message to a task is told that is over and was never named. */
export function overProblem(delivery: Delivery): RpcProblem {
  return taskOver(delivery.id, whyOver(delivery))
}

export function whyOver(delivery: Delivery): string {
  const { id, state, reason } = delivery
  if (state === 'completed') return `the task ${id} was answered and does not go on`
  if (state === 'dropped') return `the task ${id} was canceled: ${reason ?? 'dropped'}`
  return `the task ${id} has failed: ${whyFailed(delivery)}`
}
