/** @module The audit trail over HTTP: what may be asked, and what an event looks like. */
import { AppError } from '@atrium/http-kit/app-error'
import { z } from 'zod'
import type { readAuditTrail } from '../../services/audit-trail.ts'

type Page = Awaited<ReturnType<typeof readAuditTrail>>
type Cursor = NonNullable<Page['next']>

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000

/** A moment, or a moment and an event's id as `next_before` gives it. */
const cursor = z.string().transform((text, context): Cursor => {
  const [moment = '', id] = text.split('~')
  const occurredAt = new Date(z.iso.datetime({ offset: true }).safeParse(moment).data ?? Number.NaN)
  if (Number.isNaN(occurredAt.getTime()) || !z.uuid().optional().safeParse(id).success) {
    context.addIssue('must be an ISO 8601 moment, or the next_before of a page')
    return z.NEVER
  }
  return { occurredAt, id }
})

export const auditQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
  before: cursor.optional(),
  action: z
    .string()
    .regex(/^[a-z_.]{1,64}$/)
    .optional(),
  workspace_id: z.uuid().optional(),
})

/** Throws `invalid_query`. */
export function parseAuditQuery(query: Record<string, string>) {
  const parsed = auditQuery.safeParse(query)
  if (!parsed.success) throw new AppError('invalid_query', { cause: parsed.error })
  const { limit, before, action, workspace_id: workspaceId } = parsed.data
  return { limit, before, action, workspaceId }
}

export const auditPageResponse = z.object({
  events: z.array(
    z
      .object({
        id: z.uuid(),
        occurred_at: z.iso.datetime(),
        action: z.string(),
        outcome: z.enum(['ok', 'refused']),
        actor: z.object({ kind: z.string(), id: z.string().nullable() }),
        workspace_id: z.uuid().nullable(),
        subject: z.string().nullable(),
        count: z.int(),
        detail: z.unknown(),
        request_id: z.string().nullable(),
      })
      .meta({ id: 'AuditEvent' }),
  ),
  count: z.int(),
  next_before: z.string().optional(),
})

export function renderAuditPage({ events, next }: Page): z.input<typeof auditPageResponse> {
  return {
    events: events.map((event) => ({
      id: event.id,
      occurred_at: event.occurredAt.toISOString(),
      action: event.action,
      outcome: event.outcome,
      actor: { kind: event.actorKind, id: event.actorId },
      workspace_id: event.workspaceId,
      subject: event.subject,
      count: event.count,
      detail: event.detail,
      request_id: event.requestId,
    })),
    count: events.length,
    ...(next === undefined
      ? {}
      : { next_before: `${next.occurredAt.toISOString()}~${next.id ?? ''}` }),
  }
}
