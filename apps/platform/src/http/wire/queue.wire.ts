/** @module JSON shapes of messages in the ledger (contract/platform 4.7, 4.8). */
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseLossless,
  readLossless,
} from '@atrium/a2a-schema/lossless-json'
import { AppError } from '@atrium/http-kit/app-error'
import { z } from 'zod'
import { type DeliveryState, isFinalState } from '../../domain/delivery.ts'
import { parseWorkspaceId, type WorkspaceId } from '../../domain/ids.ts'
import type { countQueue } from '../../services/delivery/operate-queue.ts'
import type { QueueEntry } from '../../services/delivery/queue-entry.ts'
import type { AgentAnswer } from '../../services/delivery/reply-to-delivery.ts'

const moment = z.iso.datetime()

export const queueEntryResponse = z
  .object({
    queue_id: z.uuid(),
    workspace_id: z.uuid(),
    status: z.enum(['queued', 'dispatched', 'completed', 'failed', 'expired', 'dropped', 'dead']),
    delivery_mode: z.enum(['push', 'poll']),
    method: z.string(),
    priority: z.int(),
    attempts: z.int(),
    position: z.int().optional().describe('In the queue, from 1.'),
    queue_depth: z.int().optional(),
    last_error: z.string().nullable(),
    reason: z.string().nullable().describe('Why it ended without an answer, or waits.'),
    enqueued_at: moment,
    dispatched_at: moment.nullable(),
    completed_at: moment.nullable().describe('When it came to its end, whichever.'),
    expires_at: moment.nullable(),
    next_attempt_at: moment.optional(),
    task_id: z.string().optional().describe('What its agent calls the task.'),
    delegation_id: z.uuid().optional(),
    response_status: z.int().optional(),
    response_body: z.unknown().optional(),
  })
  .meta({ id: 'QueuedMessage' })

/** Claimed and not sent yet is still in the queue to everybody outside. */
function statusOf(state: DeliveryState) {
  return state === 'leased' ? 'queued' : state
}

export function renderQueueEntry(entry: QueueEntry): z.input<typeof queueEntryResponse> {
  const { delivery, place } = entry
  const { response, responseStatus, upstreamTaskId, delegationId } = delivery
  return {
    queue_id: delivery.id,
    workspace_id: delivery.workspaceId,
    status: statusOf(delivery.state),
    delivery_mode: delivery.mode,
    method: delivery.method,
    priority: delivery.priority,
    attempts: delivery.attempts,
    ...(place === undefined ? {} : { position: place.position, queue_depth: place.depth }),
    last_error: delivery.lastError,
    reason: delivery.reason,
    enqueued_at: delivery.enqueuedAt.toISOString(),
    dispatched_at: delivery.dispatchedAt?.toISOString() ?? null,
    completed_at: delivery.finishedAt?.toISOString() ?? null,
    expires_at: delivery.expiresAt?.toISOString() ?? null,
    ...(isFinalState(delivery.state)
      ? {}
      : { next_attempt_at: delivery.nextAttemptAt.toISOString() }),
    ...(upstreamTaskId === null ? {} : { task_id: upstreamTaskId }),
    ...(delegationId === null ? {} : { delegation_id: delegationId }),
    ...(responseStatus === null ? {} : { response_status: responseStatus }),
    ...(response === null ? {} : { response_body: bodyOf(response) }),
  }
}

/** An agent may nest deeper than anybody reads. */
function bodyOf(response: Buffer): JsonValue {
  return readLossless(response.toString('utf8')) ?? { omitted: 'cannot be read' }
}

export const cancelledResponse = z.object({ status: z.literal('dropped'), queue_id: z.uuid() })

export const replyBody = z.looseObject({
  text: z.string().min(1).optional().describe('Short for a message with this text.'),
  result: z.unknown().optional().describe('A message, or a task that is over; any dialect.'),
  error: z
    .looseObject({ code: z.int(), message: z.string() })
    .optional()
    .describe('Instead: why there is no answer.'),
})
export const repliedResponse = z.object({
  status: z.literal('completed'),
  queue_id: z.uuid(),
  duplicate: z.boolean().optional(),
})

/** A JSON-RPC answer, or only its `result`, `error` or text. Throws `invalid_request_body`. */
export function parseReply(body: Buffer): AgentAnswer {
  const value = jsonOf(body)
  const parsed = replyBody.safeParse(value)
  if (!parsed.success || value === undefined) {
    throw new AppError('invalid_request_body', { cause: parsed.error })
  }
  const answers = [textAnswer(value), resultAnswer(value), errorAnswer(value)].flatMap(
    (answer) => answer ?? [],
  )
  const [answer] = answers
  if (answer === undefined || answers.length > 1) {
    throw new AppError('invalid_request_body', { message: 'give result, error or text' })
  }
  return answer
}

function jsonOf(body: Buffer): JsonObject | undefined {
  try {
    const value = parseLossless(new TextDecoder('utf-8', { fatal: true }).decode(body))
    return isJsonObject(value) ? value : undefined
  } catch (cause) {
    throw new AppError('invalid_request_body', { cause })
  }
}

function textAnswer({ text }: JsonObject): AgentAnswer | undefined {
  if (typeof text !== 'string') return undefined
  return { result: { kind: 'message', role: 'agent', parts: [{ kind: 'text', text }] } }
}

function resultAnswer({ result }: JsonObject): AgentAnswer | undefined {
  return result === undefined || result === null ? undefined : { result }
}

function errorAnswer({ error }: JsonObject): AgentAnswer | undefined {
  return isJsonObject(error) ? { error } : undefined
}

const DEFAULT_AGE_MINUTES = 60
/** Longer than anything is kept; more would not fit the arithmetic of dates. */
const MAX_AGE_MINUTES = 10 * 366 * 24 * 60

/** Throws `invalid_query` in the contract's words. */
export function parseStaleQuery(query: (name: string) => string | undefined): {
  readonly maxAgeMinutes: number
  readonly workspaceId: WorkspaceId | undefined
} {
  const age = query('max_age_minutes') || undefined
  if (age !== undefined && !/^0*[1-9]\d*$/.test(age)) {
    throw new AppError('invalid_query', { message: 'max_age_minutes must be a positive integer' })
  }
  const maxAgeMinutes = Math.min(Number(age ?? DEFAULT_AGE_MINUTES), MAX_AGE_MINUTES)
  return { maxAgeMinutes, workspaceId: parseQueueWorkspace(query) }
}

/** Throws `invalid_query`. */
export function parseQueueWorkspace(
  query: (name: string) => string | undefined,
): WorkspaceId | undefined {
  const named = query('workspace_id') || undefined
  const id = named === undefined ? undefined : parseWorkspaceId(named)
  if (named !== undefined && id === undefined) {
    throw new AppError('invalid_query', { message: 'workspace_id must be a UUID' })
  }
  return id
}

export const droppedResponse = z.object({ dropped: z.int() })

export const queueCountsResponse = z.object({
  queues: z.array(
    z.object({
      status: z.string(),
      delivery_mode: z.enum(['push', 'poll']),
      count: z.int(),
      oldest_at: moment,
    }),
  ),
})

export function renderQueueCounts(
  counts: Awaited<ReturnType<typeof countQueue>>,
): z.input<typeof queueCountsResponse> {
  const queues = counts.map(({ state, mode, count, oldest }) => ({
    ...{ status: state, delivery_mode: mode, count, oldest_at: oldest.toISOString() },
  }))
  return { queues }
}
