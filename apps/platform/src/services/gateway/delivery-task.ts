/** @module The task that a delivery is, as long as and wherever its agent is not asked (contract/a2a 2.8). */
import { isJsonObject, type JsonObject, readLossless } from '@atrium/a2a-schema/lossless-json'
import type { SpokenDialect } from '@atrium/a2a-schema/method'
import { readResult } from '@atrium/a2a-schema/result-facts'
import { type SyntheticTask, syntheticTask, taskFromMessage } from '@atrium/a2a-schema/synthesise'
import { translateResult } from '@atrium/a2a-schema/translate/result'
import type { Delivery } from '../../domain/delivery.ts'
import { resultForSender } from './task-alias.ts'

/** Not wrapped: what get and cancel answer. */
export function taskOfDelivery(delivery: Delivery, dialect: SpokenDialect): JsonObject {
  if (delivery.state !== 'completed') return syntheticTask(stateOfDelivery(delivery), dialect)
  return answeredTask(delivery, dialect) ?? syntheticTask(completed(delivery), dialect)
}

/** How it ended, as the reply of 1.0 that webhooks are told from; undefined: the agent's stream tells it. */
export function eventOfDelivery(delivery: Delivery): Buffer | undefined {
  const { isStreaming, state, upstreamTaskId } = delivery
  if (isStreaming && state === 'completed' && upstreamTaskId !== null) return undefined
  const result = { task: taskOfDelivery(delivery, '1.0') }
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: delivery.id, result }))
}

function factsOfDelivery(delivery: Delivery) {
  const { id: taskId, mode } = delivery
  return {
    taskId,
    contextId: delivery.contextId ?? taskId,
    at: delivery.finishedAt ?? delivery.dispatchedAt ?? delivery.enqueuedAt,
    metadata: { delivery_mode: mode, queue_id: taskId },
  }
}

function completed(delivery: Delivery): SyntheticTask {
  return { ...factsOfDelivery(delivery), state: 'TASK_STATE_COMPLETED' }
}

/** Where a message stands that has no answer (DESIGN: the ledger's states as A2A's). */
function stateOfDelivery(delivery: Delivery): SyntheticTask {
  const facts = factsOfDelivery(delivery)
  switch (delivery.state) {
    case 'queued':
    case 'leased':
      return { ...facts, state: 'TASK_STATE_SUBMITTED' }
    case 'dispatched':
      return { ...facts, state: 'TASK_STATE_WORKING' }
    case 'dropped':
      return { ...facts, state: 'TASK_STATE_CANCELED', explanation: delivery.reason ?? 'dropped' }
    default:
      return { ...facts, state: 'TASK_STATE_FAILED', explanation: whyFailed(delivery) }
  }
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  expired: 'the message expired before its agent could take it',
  outcome_unknown: 'the agent was sent the message and broke off; its outcome is unknown',
  too_many_attempts: 'the agent refused the message too often',
}

export function whyFailed({ reason, lastError, state }: Delivery): string {
  return EXPLANATIONS[reason ?? state] ?? lastError ?? reason ?? state
}

/** undefined: the answer was not kept, or holds no task. */
function answeredTask(delivery: Delivery, dialect: SpokenDialect): JsonObject | undefined {
  const envelope = envelopeOf(delivery)
  if (envelope === undefined) return undefined
  const { error, result } = envelope
  const facts = factsOfDelivery(delivery)
  if (isJsonObject(error)) {
    const explanation = typeof error['message'] === 'string' ? error['message'] : 'it failed'
    return syntheticTask({ ...facts, state: 'TASK_STATE_FAILED', explanation }, dialect)
  }
  const read = readResult(result)
  if (read === undefined) return undefined
  if (read.kind === 'message') return taskFromMessage(read.value, facts, dialect)
  if (read.kind !== 'task') return undefined
  const task = translateResult({ operation: 'get', result }, delivery.dialect, dialect)
  // The answer was kept under the name by which its sender knows the task, whichever that is.
  const alias = { known: delivery.id, upstream: undefined }
  const told = task === undefined ? undefined : resultForSender(task, alias)
  return isJsonObject(told) ? told : undefined
}

function envelopeOf({ response }: Delivery): JsonObject | undefined {
  if (response === null) return undefined
  const value = readLossless(response.toString('utf8'))
  return isJsonObject(value) ? value : undefined
}
