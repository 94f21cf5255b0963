/**
 * @module Tasks that callers come back for, where their agent cannot be asked for a list of them, or
 * has not got them yet (contract/a2a 2.6).
 */
import { and, count, desc, eq, gte, isNotNull, lt, notExists, or, sql } from 'drizzle-orm'
import { unionAll } from 'drizzle-orm/pg-core'
import type { WireDialect } from '../domain/delivery.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import type { TaskKey } from '../domain/task-stream.ts'
import type { Db, Sql } from './client.ts'
import type { OldRows } from './delete-old-rows.ts'
import { a2aDeliveries, a2aTasks } from './schema.ts'

export type TaskRow = TaskKey & {
  readonly upstreamTaskId: string | null
  readonly deliveryId: string | null
  readonly sender: string
  readonly contextId: string | null
  /** As in 1.0: `TASK_STATE_WORKING`. */
  readonly state: string
  readonly statusAt: Date
  /** The task itself, in this dialect; null when it was too large. */
  readonly snapshot: Buffer | null
  readonly dialect: WireDialect
  readonly updatedAt: Date
}

/** Writes what is known now; what an older status says changes nothing. A task only once in `tasks`. */
export async function writeTasks(query: Sql, tasks: readonly TaskRow[]): Promise<void> {
  await query`
    INSERT INTO a2a_tasks (workspace_id, task_id, upstream_task_id, delivery_id, sender, context_id,
      state, status_at, snapshot, dialect, updated_at)
    SELECT i.workspace_id, i.task_id, i.upstream_task_id, i.delivery_id, i.sender, i.context_id,
           i.state, i.status_at, decode(i.snapshot, 'base64'), i.dialect, i.updated_at
      FROM unnest(
        ${tasks.map((each) => each.workspaceId)}::uuid[],
        ${tasks.map((each) => each.taskId)}::text[],
        ${tasks.map((each) => each.upstreamTaskId)}::text[],
        ${tasks.map((each) => each.deliveryId)}::uuid[],
        ${tasks.map((each) => each.sender)}::text[],
        ${tasks.map((each) => each.contextId)}::text[],
        ${tasks.map((each) => each.state)}::text[],
        ${tasks.map((each) => each.statusAt.toISOString())}::text[]::timestamptz[],
        ${tasks.map((each) => each.snapshot?.toString('base64') ?? null)}::text[],
        ${tasks.map((each) => each.dialect)}::text[],
        ${tasks.map((each) => each.updatedAt.toISOString())}::text[]::timestamptz[]
      ) AS i (workspace_id, task_id, upstream_task_id, delivery_id, sender, context_id, state,
        status_at, snapshot, dialect, updated_at)
      JOIN workspaces w ON w.id = i.workspace_id
    ON CONFLICT (workspace_id, task_id) DO UPDATE SET
      upstream_task_id = coalesce(excluded.upstream_task_id, a2a_tasks.upstream_task_id),
      context_id = coalesce(excluded.context_id, a2a_tasks.context_id),
      state = excluded.state, status_at = excluded.status_at, snapshot = excluded.snapshot,
      dialect = excluded.dialect, updated_at = excluded.updated_at
      WHERE excluded.updated_at >= a2a_tasks.updated_at`
}

function withId(row: typeof a2aTasks.$inferSelect): TaskRow {
  return { ...row, workspaceId: workspaceIdSchema.parse(row.workspaceId) }
}

export type TaskFilter = {
  readonly workspaceId: WorkspaceId
  /** undefined: of all senders. */
  readonly sender: string | undefined
  readonly contextId: string | undefined
  readonly state: string | undefined
  readonly since: Date | undefined
}

export type TaskPage = {
  readonly limit: number
  /** The last task of the page before. */
  readonly after: { readonly statusAt: Date; readonly taskId: string } | undefined
}

/** The newest status first. `total` counts all pages. */
export async function listTasks(
  db: Db,
  filter: TaskFilter,
  page: TaskPage,
): Promise<{ readonly tasks: readonly TaskRow[]; readonly total: number }> {
  const all = knownTasks(db, filter.workspaceId)
  const matching = and(
    filter.sender === undefined ? undefined : eq(all.sender, filter.sender),
    filter.contextId === undefined ? undefined : eq(all.contextId, filter.contextId),
    filter.state === undefined ? undefined : eq(all.state, filter.state),
    filter.since === undefined ? undefined : gte(all.statusAt, filter.since),
  )
  const { after } = page
  const behind =
    after === undefined
      ? undefined
      : or(
          lt(all.statusAt, after.statusAt),
          and(eq(all.statusAt, after.statusAt), lt(all.taskId, after.taskId)),
        )
  const rows = await db
    .select()
    .from(all)
    .where(and(matching, behind))
    .orderBy(desc(all.statusAt), desc(all.taskId))
    .limit(page.limit)
  const counted = await db.select({ total: count() }).from(all).where(matching)
  return { tasks: rows.map(withId), total: counted[0]?.total ?? 0 }
}

/** What agents have told of, and messages that had to wait and that no agent has told of yet. */
function knownTasks(db: Db, workspaceId: WorkspaceId) {
  const { id, state, finishedAt, dispatchedAt, enqueuedAt } = a2aDeliveries
  const told = db.select().from(a2aTasks).where(eq(a2aTasks.workspaceId, workspaceId))
  const changedAt = sql<Date>`date_trunc('milliseconds',
    coalesce(${finishedAt}, ${dispatchedAt}, ${enqueuedAt}))`
  const waited = db
    .select({
      workspaceId: a2aDeliveries.workspaceId,
      taskId: sql<string>`${id}::text`,
      upstreamTaskId: a2aDeliveries.upstreamTaskId,
      deliveryId: id,
      sender: a2aDeliveries.sender,
      contextId: sql<string | null>`coalesce(${a2aDeliveries.contextId}, ${id}::text)`,
      state: sql<string>`CASE ${state} WHEN 'queued' THEN 'TASK_STATE_SUBMITTED'
        WHEN 'leased' THEN 'TASK_STATE_SUBMITTED' WHEN 'dispatched' THEN 'TASK_STATE_WORKING'
        WHEN 'completed' THEN 'TASK_STATE_COMPLETED' WHEN 'dropped' THEN 'TASK_STATE_CANCELED'
        ELSE 'TASK_STATE_FAILED' END`,
      statusAt: changedAt,
      snapshot: sql<Buffer | null>`NULL::bytea`,
      dialect: a2aDeliveries.dialect,
      updatedAt: changedAt,
    })
    .from(a2aDeliveries)
    .where(
      and(
        eq(a2aDeliveries.workspaceId, workspaceId),
        or(eq(a2aDeliveries.deliveryMode, 'poll'), isNotNull(a2aDeliveries.queuedAt)),
        notExists(
          db
            .select({ one: sql`1` })
            .from(a2aTasks)
            .where(
              and(
                eq(a2aTasks.workspaceId, workspaceId),
                sql`${a2aTasks.taskId} IN (${id}::text, ${a2aDeliveries.upstreamTaskId})`,
              ),
            ),
        ),
      ),
    )
  return unionAll(told, waited).as('known_tasks')
}

/** Removes what has not changed since; how many there were. */
export async function pruneTasks(db: Db, { before, limit }: OldRows): Promise<number> {
  const rows = await db.execute(sql`
    DELETE FROM a2a_tasks t USING (
      SELECT workspace_id, task_id FROM a2a_tasks WHERE updated_at < ${before.toISOString()}
       ORDER BY updated_at LIMIT ${limit} FOR UPDATE SKIP LOCKED) old
     WHERE t.workspace_id = old.workspace_id AND t.task_id = old.task_id
    RETURNING t.task_id`)
  return rows.length
}
