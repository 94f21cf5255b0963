/** @module JSON shapes and query of a workspace's activity (contract/platform 5). */
import { AppError } from '@atrium/http-kit/app-error'
import { z } from 'zod'
import {
  type ActivitySource,
  REPORTABLE_ACTIVITY_TYPES,
  storableText,
} from '../../domain/activity.ts'
import { workspaceIdSchema } from '../../domain/ids.ts'
import type { Acknowledgement } from '../../services/acknowledge-activity.ts'
import type { ActivityPlace } from '../../services/activity-place.ts'
import type { FollowedActivity } from '../../services/follow-activity.ts'
import type { Activity, ActivityRequest } from '../../services/read-activity.ts'
import type { ActivityReport, AgentMessage, Attachment } from '../../services/report-activity.ts'
import { KEEP_ALIVE_FRAME } from './event.wire.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 500
/** Contract/platform 4.12: thirty days. */
const MAX_SINCE_SECONDS = 2_592_000
const MAX_WAIT_SECONDS = 60
const INT4_MAX = 2_147_483_647

type Query = (name: string) => string | undefined

/** The query of a read; empty parameters count as absent. Throws `invalid_query`. */
export function parseActivityQuery(
  query: Query,
): Omit<ActivityRequest, 'workspaceId' | 'caller' | 'signal'> {
  const given = (name: string): string | undefined => query(name) || undefined
  return {
    activityType: activityTypeOf(given('type')),
    source: sourceOf(given('source')),
    limit: limitOf(given('limit')),
    sinceSeconds: sinceSecondsOf(given('since_secs')),
    after: afterOf(given('since_id'), given('from')),
    waitMs: waitSecondsOf(given('wait')) * 1000,
  }
}

/** Any text is a type; one that PostgreSQL cannot compare with is nobody's. */
function activityTypeOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : storableText(text)
}

function sourceOf(text: string | undefined): ActivitySource | undefined {
  if (text === undefined || text === 'canvas' || text === 'agent') return text
  throw invalid("source must be 'canvas' or 'agent'")
}

/** The contract takes what is no positive number for the default. */
function limitOf(text: string | undefined): number {
  const limit = wholeNumber(text)
  return limit === undefined || limit < 1 ? DEFAULT_LIMIT : Math.min(limit, MAX_LIMIT)
}

function sinceSecondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const seconds = wholeNumber(text)
  if (seconds === undefined || seconds < 1) throw invalid('since_secs must be a positive integer')
  return Math.min(seconds, MAX_SINCE_SECONDS)
}

function waitSecondsOf(text: string | undefined): number {
  if (text === undefined) return 0
  const seconds = wholeNumber(text)
  if (seconds === undefined) throw invalid('wait must be a number of seconds')
  return Math.min(seconds, MAX_WAIT_SECONDS)
}

function afterOf(sinceId: string | undefined, from: string | undefined): ActivityRequest['after'] {
  if (from !== undefined && from !== 'start') throw invalid("from must be 'start'")
  if (from !== undefined && sinceId !== undefined) throw invalid('give since_id or from, not both')
  return sinceId === undefined ? from : placeOf(sinceId, 'since_id')
}

/** A row, or `@` and the name of a cursor that the platform keeps. */
function placeOf(text: string, name: string): ActivityPlace {
  if (text.startsWith('@')) return { cursor: cursorNameOf(text.slice(1)) }
  return rowOf(text, name)
}

function rowOf(text: string, name: string): ActivityPlace {
  const id = z.guid().safeParse(text)
  if (!id.success) throw invalid(`${name} must be a UUID`)
  return { id: id.data }
}

const cursorName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)

function cursorNameOf(text: string): string {
  const name = cursorName.safeParse(text)
  if (name.success) return name.data
  throw invalid("a cursor is named by at most 64 letters, digits, '.', '_' and '-'")
}

export const acknowledgementBody = z.strictObject({
  cursor: cursorName.default('default'),
  id: z.guid().nullable().describe('Everything up to this row is done; null forgets the cursor.'),
})

export const acknowledgedResponse = z.object({
  status: z.enum(['acknowledged', 'forgotten']),
  cursor: z.string(),
})

export function renderAcknowledgement({
  cursor,
  id,
}: Acknowledgement): z.input<typeof acknowledgedResponse> {
  return { status: id === null ? 'forgotten' : 'acknowledged', cursor }
}

/**
 * The query of a stream, which waits anyway and has no end. `lastEventId` is where a follower that
 * comes back was, and counts more than where its first request began. Throws `invalid_query`.
 */
export function parseFollowQuery(query: Query, lastEventId: string | undefined) {
  const { limit: _limit, waitMs: _waitMs, ...request } = parseActivityQuery(query)
  if (lastEventId === undefined) return request
  return { ...request, after: rowOf(lastEventId, 'Last-Event-ID') }
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

function invalid(message: string): AppError {
  return new AppError('invalid_query', { message })
}

const optionalText = z
  .string()
  .nullish()
  .transform((text) => (text == null ? null : storableText(text)))

export const reportBody = z.looseObject({
  activity_type: z.string().nullish(),
  source_id: z.string().nullish(),
  target_id: z.string().nullish(),
  method: optionalText,
  summary: optionalText,
  status: optionalText,
  error_detail: optionalText,
  duration_ms: z.int().min(-INT4_MAX).max(INT4_MAX).nullish(),
  request_body: z.unknown().optional(),
  metadata: z.unknown().optional(),
  response_body: z.unknown().optional(),
})

/** Throws `invalid_activity_type`, `activity_source_mismatch`, `invalid_request_body`. */
export function parseReport(body: unknown): ActivityReport {
  const parsed = reportBody.safeParse(body)
  if (!parsed.success) throw new AppError('invalid_request_body', { cause: parsed.error })
  const fields = parsed.data
  const activityType = REPORTABLE_ACTIVITY_TYPES.find((type) => type === fields.activity_type)
  if (activityType === undefined) throw new AppError('invalid_activity_type')
  return {
    activityType,
    sourceId: idOf(fields.source_id, 'activity_source_mismatch'),
    targetId: idOf(fields.target_id, 'invalid_request_body') ?? null,
    method: fields.method,
    summary: fields.summary,
    status: fields.status || 'ok',
    errorDetail: fields.error_detail,
    durationMs: fields.duration_ms ?? null,
    requestBody: fields.request_body ?? fields.metadata ?? null,
    responseBody: fields.response_body ?? null,
  }
}

function idOf(
  text: string | null | undefined,
  code: 'activity_source_mismatch' | 'invalid_request_body',
) {
  if (text === undefined || text === null || text === '') return undefined
  const id = workspaceIdSchema.safeParse(text)
  if (!id.success) throw new AppError(code)
  return id.data
}

export const notifyBody = z.looseObject({
  message: z.string().min(1),
  attachments: z.array(z.unknown()).nullish(),
  /** Ours: what the agent calls this message. */
  idempotency_key: z.string().min(1).max(200).nullish(),
})

const attachment = z.looseObject({
  uri: z.string().min(1),
  name: z.string().min(1),
  mimeType: z.string().nullish(),
  size: z.number().nullish(),
})

/** Throws `message_required`, `attachment_incomplete`, `invalid_request_body`. */
export function parseNotification(body: unknown): AgentMessage {
  const parsed = notifyBody.safeParse(body)
  if (!parsed.success) {
    const isMessage = parsed.error.issues.some(({ path }) => path[0] === 'message')
    throw new AppError(isMessage ? 'message_required' : 'invalid_request_body')
  }
  const { message, attachments, idempotency_key } = parsed.data
  return {
    text: message,
    attachments: (attachments ?? []).map(attachmentOf),
    idempotencyKey: idempotency_key ?? undefined,
  }
}

function attachmentOf(value: unknown, index: number): Attachment {
  const parsed = attachment.safeParse(value)
  if (!parsed.success) {
    const hasBoth = parsed.error.issues.every(({ path }) => isOptionalOfAttachment(path[0]))
    if (hasBoth) throw new AppError('invalid_request_body', { cause: parsed.error })
    throw new AppError('attachment_incomplete', {
      message: `attachment[${index}]: uri and name are required`,
    })
  }
  const { uri, name, mimeType, size } = parsed.data
  return { uri, name, mimeType: mimeType ?? undefined, size: size ?? undefined }
}

function isOptionalOfAttachment(key: PropertyKey | undefined): boolean {
  return key === 'mimeType' || key === 'size'
}

export const activityResponse = z
  .object({
    id: z.uuid(),
    workspace_id: z.uuid(),
    activity_type: z.string(),
    source_id: z.uuid().nullable(),
    source_name: z.string().optional(),
    target_id: z.uuid().nullable(),
    method: z.string().nullable(),
    summary: z.string().nullable(),
    duration_ms: z.int().nullable(),
    status: z.string(),
    error_detail: z.string().nullable(),
    created_at: z.iso.datetime(),
    request_body: z.unknown().optional(),
    response_body: z.unknown().optional(),
    tool_trace: z.unknown().optional(),
    queue_id: z.uuid().optional().describe('Under which the message is answered.'),
  })
  .meta({ id: 'Activity' })

export const loggedResponse = z.object({ status: z.literal('logged') })

export const sentResponse = z.object({
  status: z.literal('sent'),
  duplicate: z.boolean().optional(),
})

/** A row of the feed: bodies and trace only when there are any (contract/platform 5.1). */
export function renderActivity(row: Activity): z.input<typeof activityResponse> {
  return {
    id: row.id,
    workspace_id: row.workspaceId,
    activity_type: row.activityType,
    source_id: row.sourceId,
    ...(row.sourceName === null ? {} : { source_name: row.sourceName }),
    target_id: row.targetId,
    method: row.method,
    summary: row.summary,
    duration_ms: row.durationMs,
    status: row.status,
    error_detail: row.errorDetail,
    created_at: row.createdAt.toISOString(),
    ...(row.requestBody === null ? {} : { request_body: row.requestBody }),
    ...(row.responseBody === null ? {} : { response_body: row.responseBody }),
    ...(row.toolTrace === null ? {} : { tool_trace: row.toolTrace }),
    ...(row.queueId === null ? {} : { queue_id: row.queueId }),
  }
}

/** A frame of the feed as a stream; its id is that of the row, and `since_id` elsewhere. */
export function renderActivityFrame(item: FollowedActivity): string {
  if (item.kind === 'silence') {
    // A block without data is no event: it sets the last event id, and nothing is dispatched.
    return item.id === undefined ? KEEP_ALIVE_FRAME : `: keep-alive\nid: ${item.id}\n\n`
  }
  if (item.kind === 'start') return item.id === undefined ? '' : `id: ${item.id}\n\n`
  return `id: ${item.row.id}\ndata: ${JSON.stringify(renderActivity(item.row))}\n\n`
}
