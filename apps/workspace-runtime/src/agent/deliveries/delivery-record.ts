/** @module What is kept of a delivery, and how it is read again: the agent can write there too. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { isTooDeep, MAX_RECORD_NESTING } from '../nesting.ts'
import { RECORD_NAME } from '../records/record-folder.ts'

const record = z.object({
  version: z.literal(1),
  delivery_id: z.string(),
  method: z.string(),
  // The task gets a record of this name when the delivery was interrupted.
  task_id: z.string().regex(RECORD_NAME),
  context_id: z.string(),
  has_task: z.boolean(),
  begun_at: z.iso.datetime(),
  has_ended: z.boolean(),
  outcome: z.object({ result: z.unknown(), error: z.unknown() }).partial().optional(),
})

export type DeliveryRecord = {
  readonly deliveryId: string
  readonly method: string
  /** Of the SDK; a task of this id can be asked for only when `hasTask`, or after a restart. */
  readonly taskId: string
  readonly contextId: string
  readonly hasTask: boolean
  readonly begunAt: string
  readonly hasEnded: boolean
  /** What was answered, without the id of the call. */
  readonly outcome: { readonly result?: unknown; readonly error?: unknown } | undefined
}

/** A name for the file: the id itself is the platform's, of any characters. */
export function recordName(deliveryId: string): string {
  return createHash('sha256').update(deliveryId).digest('hex')
}

export function deliveryText(delivery: DeliveryRecord): string {
  return JSON.stringify({
    version: 1,
    delivery_id: delivery.deliveryId,
    method: delivery.method,
    task_id: delivery.taskId,
    context_id: delivery.contextId,
    has_task: delivery.hasTask,
    begun_at: delivery.begunAt,
    has_ended: delivery.hasEnded,
    outcome: delivery.outcome,
  })
}

/** The delivery of a record; undefined for anything else, and under another's name. */
export function parseDelivery(name: string, text: string): DeliveryRecord | undefined {
  const parsed = record.safeParse(jsonOf(text))
  if (!parsed.success || recordName(parsed.data.delivery_id) !== name) return undefined
  const { data } = parsed
  return {
    deliveryId: data.delivery_id,
    method: data.method,
    taskId: data.task_id,
    contextId: data.context_id,
    hasTask: data.has_task,
    begunAt: data.begun_at,
    hasEnded: data.has_ended,
    outcome: data.outcome,
  }
}

function jsonOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return isTooDeep(value, MAX_RECORD_NESTING) ? undefined : value
  } catch {
    // The schema says what is missing.
    return undefined
  }
}
