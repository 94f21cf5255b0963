/**
 * @module Tasks that callers come back for, where their agent cannot be asked for a list of them, or
 * has not got them yet (contract/a2a 2.6).
 */
import { and, count, desc, eq, gte, lt, or, sql } from 'drizzle-orm'
import type { WireDialect } from '../domain/delivery.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import type { TaskKey } from '../domain/task-stream.ts'
import type { Db, Sql } from './client.ts'
import type { OldRows } from './delete-old-rows.ts'
import { a2aTasks } from './schema.ts'

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

export async function findTask(db: Db, key: TaskKey): Promise<TaskRow | undefined> {
  const rows = await db
    .select()
    .from(a2aTasks)
    .where(and(eq(a2aTasks.workspaceId, key.workspaceId), eq(a2aTasks.taskId, key.taskId)))
  return rows.map(withId)[0]
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
  const matching = and(
    eq(a2aTasks.workspaceId, filter.workspaceId),
    filter.sender === undefined ? undefined : eq(a2aTasks.sender, filter.sender),
    filter.contextId === undefined ? undefined : eq(a2aTasks.contextId, filter.contextId),
    filter.state === undefined ? undefined : eq(a2aTasks.state, filter.state),
    filter.since === undefined ? undefined : gte(a2aTasks.statusAt, filter.since),
  )
  const { after } = page
  const behind =
    after === undefined
      ? undefined
      : or(
          lt(a2aTasks.statusAt, after.statusAt),
          and(eq(a2aTasks.statusAt, after.statusAt), lt(a2aTasks.taskId, after.taskId)),
        )
  const rows = await db
    .select()
    .from(a2aTasks)
    .where(and(matching, behind))
    .orderBy(desc(a2aTasks.statusAt), desc(a2aTasks.taskId))
    .limit(page.limit)
  const counted = await db.select({ total: count() }).from(a2aTasks).where(matching)
  return { tasks: rows.map(withId), total: counted[0]?.total ?? 0 }
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
