/** @module The activity log: what happened to a workspace, in commit order (design/architecture 6). */
import {
  and,
  asc,
  desc,
  eq,
  gt,
  gte,
  inArray,
  isNotNull,
  isNull,
  notExists,
  sql,
} from 'drizzle-orm'
import type { ActivitySource, ActivityType } from '../domain/activity.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { Db } from './client.ts'
import type { OldRows } from './delete-old-rows.ts'
import { preparedStatement } from './prepared-query.ts'
import { type ActivityRow, activityLogs, activityPruned } from './schema.ts'
import { lastActivityAt, whereLive } from './workspace-store.ts'

/** Notified with the workspace's id when a row of it commits: a hint, polling is the truth. */
export const ACTIVITY_CHANNEL = 'atrium_activity'

export type NewActivity = {
  readonly id: string
  readonly workspaceId: WorkspaceId
  readonly activityType: ActivityType
  readonly sourceId: string | null
  /** Who spoke when it was no workspace and no person (wart W7). */
  readonly sourceName?: string | null
  readonly targetId: string | null
  readonly method: string | null
  readonly summary: string | null
  readonly requestBody: unknown
  readonly responseBody: unknown
  readonly toolTrace?: unknown
  readonly durationMs: number | null
  readonly status: string
  readonly errorDetail: string | null
  /** A second row of the workspace with the same key is not added. */
  readonly idempotencyKey?: string | null
  /** The delivery that the message belongs to. */
  readonly queueId?: string | null
  readonly createdAt: Date
}

/** `known`: a row with this idempotency key is there already; `absent`: the workspace is not. */
export type Appended = 'appended' | 'known' | 'absent'

const value = (name: string) => sql.placeholder(name)

/** One text for any number of rows. What the driver does not know as an array goes as text. */
const appendRows = preparedStatement<{ id: string | null }>(
  'append_activities',
  sql`
    WITH taken AS (
      UPDATE workspaces
         SET activity_seq = activity_seq + ${value('count')}::integer,
             last_activity_at = ${lastActivityAt(value('latest'))}
       WHERE id = ${value('workspaceId')} AND ${whereLive}
      RETURNING id, activity_seq - ${value('count')}::integer AS before
    ), item AS (
      SELECT * FROM unnest(
        ${value('id')}::uuid[], ${value('activityType')}::text[], ${value('sourceId')}::uuid[],
        ${value('sourceName')}::text[], ${value('targetId')}::uuid[], ${value('method')}::text[],
        ${value('summary')}::text[], ${value('requestBody')}::text[]::json[],
        ${value('responseBody')}::text[]::json[], ${value('toolTrace')}::text[]::json[],
        ${value('durationMs')}::integer[], ${value('status')}::text[],
        ${value('errorDetail')}::text[], ${value('idempotencyKey')}::text[],
        ${value('queueId')}::uuid[], ${value('createdAt')}::text[]::timestamptz[],
        ${value('bodyBytes')}::integer[]
      ) WITH ORDINALITY AS i (id, activity_type, source_id, source_name, target_id, method, summary,
        request_body, response_body, tool_trace, duration_ms, status, error_detail,
        idempotency_key, queue_id, created_at, body_bytes, ord)
    ), written AS (
      INSERT INTO activity_logs (id, workspace_id, seq, activity_type, source_id, source_name,
        target_id, method, summary, request_body, response_body, tool_trace, duration_ms, status,
        error_detail, idempotency_key, queue_id, created_at, body_bytes)
      SELECT i.id, t.id, t.before + i.ord, activity_type, source_id, source_name, target_id, method,
        summary, request_body, response_body, tool_trace, duration_ms, status, error_detail,
        idempotency_key, queue_id, created_at, body_bytes
        FROM taken t CROSS JOIN item i
       ORDER BY i.ord
      ON CONFLICT (workspace_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
      RETURNING id
    )
    SELECT NULL::uuid AS id, pg_notify(${ACTIVITY_CHANNEL}, id::text) AS told FROM taken
     WHERE EXISTS (SELECT 1 FROM written)
    UNION ALL SELECT NULL, NULL FROM taken
    UNION ALL SELECT id, NULL FROM written`,
)

/**
 * Appends a row with the workspace's next sequence number. The number is taken by updating the
 * workspace's row, whose lock is held until commit: commit order is sequence order.
 */
export async function appendActivity(db: Db, activity: NewActivity): Promise<Appended> {
  const [appended = 'absent'] = await appendActivities(db, activity.workspaceId, [activity])
  return appended
}

/**
 * The same for several rows of one workspace, in their order, in one statement and with one turn at
 * its lock: that is held for no round trip but the commit's own.
 */
export async function appendActivities(
  db: Db,
  workspaceId: WorkspaceId,
  activities: readonly NewActivity[],
): Promise<Appended[]> {
  const latest = new Date(Math.max(...activities.map(({ createdAt }) => createdAt.getTime())))
  const rows = await appendRows(db, {
    ...{ workspaceId, count: activities.length, latest: latest.toISOString() },
    ...columnsOf(activities),
  })
  if (rows.length === 0) return activities.map(() => 'absent')
  const written = new Set(rows.map(({ id }) => id))
  return activities.map(({ id }) => (written.has(id) ? 'appended' : 'known'))
}

function columnsOf(activities: readonly NewActivity[]) {
  const rows = activities.map(writtenRow)
  const each = <T>(pick: (row: (typeof rows)[number]) => T | undefined) =>
    rows.map((row) => pick(row) ?? null)
  return {
    id: each(({ id }) => id),
    activityType: each(({ activityType }) => activityType),
    sourceId: each(({ sourceId }) => sourceId),
    sourceName: each(({ sourceName }) => sourceName),
    targetId: each(({ targetId }) => targetId),
    method: each(({ method }) => method),
    summary: each(({ summary }) => summary),
    requestBody: each(({ requestBody }) => requestBody),
    responseBody: each(({ responseBody }) => responseBody),
    toolTrace: each(({ toolTrace }) => toolTrace),
    durationMs: each(({ durationMs }) => durationMs),
    status: each(({ status }) => status),
    errorDetail: each(({ errorDetail }) => errorDetail),
    idempotencyKey: each(({ idempotencyKey }) => idempotencyKey),
    queueId: each(({ queueId }) => queueId),
    createdAt: each(({ createdAt }) => createdAt.toISOString()),
    bodyBytes: each(({ bodyBytes }) => bodyBytes),
  }
}

/** Bodies as text. No value is NULL, and not the `null` of JSON. */
function writtenRow(activity: NewActivity) {
  const { method, summary, status, errorDetail } = activity
  const [requestBody, responseBody, toolTrace, ...texts] = [
    ...[activity.requestBody, activity.responseBody, activity.toolTrace],
    ...[method, summary, status, errorDetail],
  ].map((value) => (value == null ? null : JSON.stringify(value)))
  // Everything whose length somebody else decides: the texts of a report are as long as it may be.
  const bodyBytes = [requestBody, responseBody, toolTrace, ...texts].reduce(
    (total, text) => total + Buffer.byteLength(text ?? ''),
    0,
  )
  return { ...activity, requestBody, responseBody, toolTrace, bodyBytes }
}

/** The place of a row in its own workspace's log; undefined when it has none there. */
export async function findActivitySeq(
  db: Db,
  row: { readonly id: string; readonly workspaceId: WorkspaceId },
): Promise<number | undefined> {
  const rows = await db
    .select({ seq: activityLogs.seq })
    .from(activityLogs)
    .where(and(eq(activityLogs.id, row.id), eq(activityLogs.workspaceId, row.workspaceId)))
  return rows[0]?.seq
}

/** The last row of a workspace's log and its place; undefined when the log is empty. */
export async function findNewestActivity(
  db: Db,
  workspaceId: WorkspaceId,
): Promise<{ readonly id: string; readonly seq: number } | undefined> {
  const rows = await db
    .select({ id: activityLogs.id, seq: activityLogs.seq })
    .from(activityLogs)
    .where(eq(activityLogs.workspaceId, workspaceId))
    .orderBy(desc(activityLogs.seq))
    .limit(1)
  return rows[0]
}

export type ActivityQuery = {
  readonly workspaceId: WorkspaceId
  readonly activityType: string | undefined
  readonly source: ActivitySource | undefined
  readonly notBefore: Date | undefined
  /** Rows after this place, in order; without it the newest come first. */
  readonly afterSeq: number | undefined
  readonly limit: number
  /** Rows are left off before their bodies together exceed this; the first one always comes. */
  readonly maxBodyBytes: number
}

/** A page of the log. */
export async function listActivity(db: Db, query: ActivityQuery): Promise<ActivityRow[]> {
  const order =
    query.afterSeq === undefined
      ? [desc(activityLogs.createdAt), desc(activityLogs.seq)]
      : [asc(activityLogs.seq)]
  // Without bodies first: of five hundred rows of a megabyte each only some are read.
  const found = await db
    .select({ id: activityLogs.id, bodyBytes: activityLogs.bodyBytes })
    .from(activityLogs)
    .where(and(...conditions(query)))
    .orderBy(...order)
    .limit(query.limit)
  const fitting = fittingIds(found, query.maxBodyBytes)
  if (fitting.length === 0) return []
  return db
    .select()
    .from(activityLogs)
    .where(inArray(activityLogs.id, fitting))
    .orderBy(...order)
}

/**
 * The last row after the place of a query, unless any fits that: of one moment, and what commits later
 * comes after it. Undefined when there is none to pass over.
 */
export async function findNewestUnlessFitting(
  db: Db,
  query: ActivityQuery & { readonly afterSeq: number },
): Promise<{ readonly id: string; readonly seq: number } | undefined> {
  const fitting = db
    .select({ id: activityLogs.id })
    .from(activityLogs)
    .where(and(...conditions(query)))
  const { workspaceId, afterSeq } = query
  const rows = await db
    .select({ id: activityLogs.id, seq: activityLogs.seq })
    .from(activityLogs)
    .where(
      and(
        eq(activityLogs.workspaceId, workspaceId),
        gt(activityLogs.seq, afterSeq),
        notExists(fitting),
      ),
    )
    .orderBy(desc(activityLogs.seq))
    .limit(1)
  return rows[0]
}

function conditions(query: ActivityQuery) {
  const { activityType, source, notBefore, afterSeq } = query
  return [
    eq(activityLogs.workspaceId, query.workspaceId),
    activityType === undefined ? undefined : eq(activityLogs.activityType, activityType),
    source === 'canvas' ? isNull(activityLogs.sourceId) : undefined,
    source === 'agent' ? isNotNull(activityLogs.sourceId) : undefined,
    notBefore === undefined ? undefined : gte(activityLogs.createdAt, notBefore),
    afterSeq === undefined ? undefined : gt(activityLogs.seq, afterSeq),
  ]
}

function fittingIds(
  found: readonly { readonly id: string; readonly bodyBytes: number }[],
  maxBodyBytes: number,
): string[] {
  let total = 0
  const end = found.findIndex(({ bodyBytes }) => {
    total += bodyBytes
    return total > maxBodyBytes
  })
  return found.slice(0, end < 0 ? found.length : Math.max(end, 1)).map(({ id }) => id)
}

/**
 * Deletes at most `limit` rows that are older than `before` and returns how many; rows that another
 * replica is deleting are left to it. What goes is a beginning of its workspace's log: a row that was
 * placed before one of another replica's slower clock stays with that. How far the beginning goes is
 * noted in the same statement.
 */
export async function deleteActivityBefore(db: Db, old: OldRows): Promise<number> {
  const before = sql`${old.before.toISOString()}::timestamptz`
  const rows = await db.execute<{ count: string }>(sql`
    WITH oldest AS (
      SELECT id, workspace_id, seq FROM activity_logs WHERE created_at < ${before}
       ORDER BY created_at LIMIT ${old.limit} FOR UPDATE SKIP LOCKED
    ), kept AS (
      SELECT workspace_id, min(seq) AS seq FROM activity_logs
       WHERE workspace_id IN (SELECT workspace_id FROM oldest)
         AND created_at >= ${before} AND created_at < ${before} + interval '1 hour'
       GROUP BY workspace_id
    ), gone AS (
      DELETE FROM activity_logs log USING oldest LEFT JOIN kept USING (workspace_id)
       WHERE log.id = oldest.id AND (kept.seq IS NULL OR oldest.seq < kept.seq)
      RETURNING log.workspace_id, log.seq
    ), noted AS (
      -- In order, so that two replicas do not wait for each other.
      INSERT INTO activity_pruned (workspace_id, seq)
      SELECT workspace_id, max(seq) FROM gone GROUP BY workspace_id ORDER BY workspace_id
      ON CONFLICT (workspace_id) DO UPDATE
        SET seq = GREATEST(activity_pruned.seq, EXCLUDED.seq)
    )
    SELECT count(*) FROM gone`)
  return Number(rows[0]?.count ?? 0)
}

/** The last place of the beginning that was deleted by age; 0 while nothing was. */
export async function findPrunedSeq(db: Db, workspaceId: WorkspaceId): Promise<number> {
  const rows = await db
    .select({ seq: activityPruned.seq })
    .from(activityPruned)
    .where(eq(activityPruned.workspaceId, workspaceId))
  return rows[0]?.seq ?? 0
}
