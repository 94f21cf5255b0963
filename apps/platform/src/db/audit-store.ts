/** @module The audit trail's rows: appended, read newest first, purged by age. */
import { and, desc, eq, lt, or } from 'drizzle-orm'
import type { Db } from './client.ts'
import { deleteOldRows, type OldRows } from './delete-old-rows.ts'
import { auditEvents } from './schema.ts'

export type AuditRow = typeof auditEvents.$inferSelect
export type NewAuditRow = typeof auditEvents.$inferInsert

/** Repeatable: an event whose id is there already has been written. */
export async function insertAuditEvents(db: Db, rows: readonly NewAuditRow[]): Promise<void> {
  if (rows.length === 0) return
  await db
    .insert(auditEvents)
    .values([...rows])
    .onConflictDoNothing({ target: auditEvents.id })
}

/** Where a page ends: the next one begins strictly before it. */
export type AuditCursor = { readonly occurredAt: Date; readonly id: string | undefined }

/** Newest first; events of the same moment by id, so that pages neither repeat nor skip. */
export async function listAuditEvents(
  db: Db,
  query: {
    readonly limit: number
    readonly before: AuditCursor | undefined
    readonly action: string | undefined
    readonly workspaceId: string | undefined
  },
): Promise<AuditRow[]> {
  const { before, action, workspaceId } = query
  return db
    .select()
    .from(auditEvents)
    .where(
      and(
        before === undefined ? undefined : isBefore(before),
        action === undefined ? undefined : eq(auditEvents.action, action),
        workspaceId === undefined ? undefined : eq(auditEvents.workspaceId, workspaceId),
      ),
    )
    .orderBy(desc(auditEvents.occurredAt), desc(auditEvents.id))
    .limit(query.limit)
}

function isBefore({ occurredAt, id }: AuditCursor) {
  const isEarlier = lt(auditEvents.occurredAt, occurredAt)
  if (id === undefined) return isEarlier
  return or(isEarlier, and(eq(auditEvents.occurredAt, occurredAt), lt(auditEvents.id, id)))
}

/** Deletes at most `limit` events older than `before`; returns how many. */
export function purgeAuditEvents(db: Db, old: OldRows): Promise<number> {
  const { id, occurredAt: at } = auditEvents
  return deleteOldRows(db, { table: auditEvents, id, at }, old)
}
