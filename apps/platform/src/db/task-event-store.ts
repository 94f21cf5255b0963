/**
 * @module What agents tell of tasks, kept for readers that come back and for those of other replicas.
 * Whoever reads an agent's stream owns its row and writes under its fence; leases are kept by the
 * database's clock. Events are written for many streams in one statement.
 */
import { and, asc, eq, gt, isNull, lt, max, sql } from 'drizzle-orm'
import { workspaceIdSchema } from '../domain/ids.ts'
import type { AgentDialect, TaskKey } from '../domain/task-stream.ts'
import type { Db, Sql } from './client.ts'
import { PUSH_CHANNEL } from './push-outbox-store.ts'
import { a2aStreams, a2aTaskEvents } from './schema.ts'

/** Payload: workspace and task of which there is news, with a space between them. */
export const TASK_EVENTS_CHANNEL = 'atrium_task_events'

/** So much may wait for one webhook: what nobody takes does not fill the disk. */
const MAX_BEHIND_EVENTS = 1_000
const MAX_BEHIND_BYTES = 16 * 1024 * 1024
/** What ends a stream is told even then, so often: who catches up learns that it has ended. */
const MAX_ENDS_BEHIND = 100

/** Numbers that are left out when a stream is taken over: what was told and never kept had some. */
export const TAKEOVER_GAP = 10_000

export type StreamRow = TaskKey & {
  readonly upstreamTaskId: string
  readonly sender: string
  readonly dialect: AgentDialect
  readonly lastSeq: number
  readonly isEnded: boolean
}

export type OwnedStream = StreamRow & { readonly fence: string }

const shown = {
  workspaceId: a2aStreams.workspaceId,
  taskId: a2aStreams.taskId,
  upstreamTaskId: a2aStreams.upstreamTaskId,
  sender: a2aStreams.sender,
  dialect: a2aStreams.dialect,
  lastSeq: a2aStreams.lastSeq,
  isEnded: sql<boolean>`${a2aStreams.endedAt} IS NOT NULL`,
}
const fence = sql<string>`${a2aStreams.fence}::text`

function withId<T extends { readonly workspaceId: string }>(row: T) {
  return { ...row, workspaceId: workspaceIdSchema.parse(row.workspaceId) }
}

function isOf(key: TaskKey) {
  return and(eq(a2aStreams.workspaceId, key.workspaceId), eq(a2aStreams.taskId, key.taskId))
}

export async function findStream(db: Db, key: TaskKey): Promise<StreamRow | undefined> {
  const rows = await db.select(shown).from(a2aStreams).where(isOf(key))
  return rows.map(withId)[0]
}

export type OpenInput = Omit<StreamRow, 'lastSeq' | 'isEnded'> & {
  readonly replicaId: string
  readonly leaseMs: number
}

/** Makes this replica the owner; undefined while another stream of the task has one. */
export async function openStream(db: Db, input: OpenInput): Promise<OwnedStream | undefined> {
  const { replicaId, leaseMs, ...stream } = input
  const lease = {
    owner: replicaId,
    leaseUntil: sql`now() + ${leaseMs} * interval '1 millisecond'`,
    fence: sql`nextval('a2a_fence')`,
  }
  const rows = await db
    .insert(a2aStreams)
    .values({ ...stream, ...lease })
    .onConflictDoUpdate({
      target: [a2aStreams.workspaceId, a2aStreams.taskId],
      set: {
        ...lease,
        upstreamTaskId: stream.upstreamTaskId,
        sender: stream.sender,
        dialect: stream.dialect,
        endedAt: null,
      },
      setWhere: sql`${a2aStreams.endedAt} IS NOT NULL`,
    })
    .returning({ ...shown, fence })
  return rows.map(withId)[0]
}

export type Append = {
  readonly key: TaskKey
  readonly fence: string
  readonly dialect: AgentDialect
  readonly events: readonly { readonly seq: number; readonly data: Buffer }[]
  /** Of the stream after this, with what is left out. */
  readonly lastSeq: number
  /** Events up to this one are not kept any more. */
  readonly floor: number
  readonly isEnd: boolean
  /** Whether the last of the events is the one with which the agent ends its task. */
  readonly hasEnd: boolean
}

/** `lost`: taken over; nothing was written. */
export type Appended = 'kept' | 'lost'

/** Writes events, each only while its stream is owned. A repetition changes nothing. */
export async function appendTaskEvents(
  query: Sql,
  items: readonly Append[],
  leaseMs: number,
): Promise<Appended[]> {
  const events = items.flatMap((item, index) =>
    item.events.map((event) => ({ ...event, ord: index + 1, dialect: item.dialect })),
  )
  const rows = await query<{ ord: string }[]>`
    WITH item AS (
      SELECT * FROM unnest(
        ${items.map(({ key }) => key.workspaceId)}::uuid[],
        ${items.map(({ key }) => key.taskId)}::text[],
        ${items.map((item) => item.fence)}::bigint[],
        ${items.map((item) => item.lastSeq)}::bigint[],
        ${items.map((item) => item.floor)}::bigint[],
        ${items.map((item) => String(item.isEnd))}::text[]::boolean[],
        ${items.map((item) => String(item.hasEnd))}::text[]::boolean[]
      ) WITH ORDINALITY AS i (workspace_id, task_id, fence, last_seq, floor, is_end, has_end, ord)
    ), held AS (
      UPDATE a2a_streams s SET last_seq = i.last_seq,
             ended_at = CASE WHEN i.is_end THEN now() END,
             -- It is renewed in time anyway, and in an index: an event changes none (HOT).
             lease_until = CASE WHEN s.lease_until < now() + ${leaseMs / 2} * interval '1 millisecond'
               THEN now() + ${leaseMs} * interval '1 millisecond' ELSE s.lease_until END
        FROM item i
       WHERE s.workspace_id = i.workspace_id AND s.task_id = i.task_id AND s.fence = i.fence
      RETURNING s.workspace_id, s.task_id, i.ord, i.floor, i.has_end, i.last_seq
    ), written AS (
      INSERT INTO a2a_task_events (workspace_id, task_id, seq, event, dialect, created_at)
      SELECT h.workspace_id, h.task_id, e.seq, decode(e.data, 'base64'), e.dialect, now()
        FROM unnest(
          ${events.map(({ ord }) => ord)}::bigint[],
          ${events.map(({ seq }) => seq)}::bigint[],
          ${events.map(({ data }) => data.toString('base64'))}::text[],
          ${events.map(({ dialect }) => dialect)}::text[]
        ) AS e (ord, seq, data, dialect)
        JOIN held h ON h.ord = e.ord
      ON CONFLICT DO NOTHING
      RETURNING workspace_id, task_id, seq, event, dialect
    ), hook AS (
      -- One that is too far behind is told of the end only, until it has caught up.
      SELECT c.workspace_id, c.task_id, c.config_id,
             CASE WHEN b.events < ${MAX_BEHIND_EVENTS} AND b.bytes < ${MAX_BEHIND_BYTES} THEN 0
                  WHEN h.has_end AND b.events < ${MAX_BEHIND_EVENTS + MAX_ENDS_BEHIND}
                  THEN h.last_seq END AS from_seq
        FROM held h
        JOIN a2a_push_configs c ON c.workspace_id = h.workspace_id AND c.task_id = h.task_id
       CROSS JOIN LATERAL (
         SELECT count(*) AS events, coalesce(sum(octet_length(o.event)), 0) AS bytes
           FROM a2a_push_outbox o
          WHERE o.workspace_id = c.workspace_id AND o.task_id = c.task_id
            AND o.config_id = c.config_id) b
    ), pushed AS (
      -- With the event itself, so that a webhook is called for each that is kept, and once.
      INSERT INTO a2a_push_outbox
        (workspace_id, task_id, config_id, event, dialect, next_attempt_at, created_at)
      SELECT w.workspace_id, w.task_id, c.config_id, w.event, w.dialect, now(), now()
        FROM written w
        JOIN hook c ON c.workspace_id = w.workspace_id AND c.task_id = w.task_id
                   AND w.seq >= c.from_seq
       ORDER BY w.workspace_id, w.task_id, w.seq
      RETURNING id
    ), pruned AS (
      DELETE FROM a2a_task_events t USING held h
       WHERE t.workspace_id = h.workspace_id AND t.task_id = h.task_id
         AND h.floor > 0 AND t.seq <= h.floor
    ), told AS (
      SELECT pg_notify(${TASK_EVENTS_CHANNEL}, workspace_id::text || ' ' || task_id) FROM held
    )
    SELECT ord, (SELECT count(*) FROM told) AS told,
           (SELECT pg_notify(${PUSH_CHANNEL}, '') FROM pushed LIMIT 1) AS pushed
      FROM held`
  const held = new Set(rows.map(({ ord }) => Number(ord)))
  return items.map((_, index) => (held.has(index + 1) ? 'kept' : 'lost'))
}

export type KeptEvent = {
  readonly seq: number
  readonly data: Buffer
  readonly dialect: AgentDialect
}

export async function readTaskEvents(
  db: Db,
  page: TaskKey & { readonly after: number; readonly limit: number },
): Promise<KeptEvent[]> {
  return await db
    .select({ seq: a2aTaskEvents.seq, data: a2aTaskEvents.event, dialect: a2aTaskEvents.dialect })
    .from(a2aTaskEvents)
    .where(
      and(
        eq(a2aTaskEvents.workspaceId, page.workspaceId),
        eq(a2aTaskEvents.taskId, page.taskId),
        gt(a2aTaskEvents.seq, page.after),
      ),
    )
    .orderBy(asc(a2aTaskEvents.seq))
    .limit(page.limit)
}

/** The last event that was kept before a moment of the database's clock; 0 for none. */
export async function lastSeqBefore(db: Db, key: TaskKey, at: Date): Promise<number> {
  const rows = await db
    .select({ seq: max(a2aTaskEvents.seq) })
    .from(a2aTaskEvents)
    .where(
      and(
        eq(a2aTaskEvents.workspaceId, key.workspaceId),
        eq(a2aTaskEvents.taskId, key.taskId),
        lt(a2aTaskEvents.createdAt, at),
      ),
    )
  return rows[0]?.seq ?? 0
}

/** Whether everything after the event is still kept. */
export async function isKeptSince(db: Db, key: TaskKey, seq: number): Promise<boolean> {
  const rows = await db.execute<{ is_kept: boolean }>(sql`
    SELECT s.last_seq = ${seq} OR (s.last_seq > ${seq} AND EXISTS (
             SELECT 1 FROM a2a_task_events e
              WHERE e.workspace_id = s.workspace_id AND e.task_id = s.task_id
                AND e.seq IN (${seq}::bigint, ${seq}::bigint + 1))) AS is_kept
      FROM a2a_streams s WHERE s.workspace_id = ${key.workspaceId} AND s.task_id = ${key.taskId}`)
  return rows[0]?.is_kept === true
}

/** Of streams that are followed here those of which there is news, or that have ended. */
export async function streamsWithNews(
  query: Sql,
  followed: readonly (TaskKey & { readonly seq: number })[],
): Promise<TaskKey[]> {
  const rows = await query<{ workspace_id: string; task_id: string }[]>`
    SELECT s.workspace_id, s.task_id
      FROM unnest(
        ${followed.map((each) => each.workspaceId)}::uuid[],
        ${followed.map((each) => each.taskId)}::text[],
        ${followed.map((each) => each.seq)}::bigint[]
      ) AS f (workspace_id, task_id, seq)
      JOIN a2a_streams s ON s.workspace_id = f.workspace_id AND s.task_id = f.task_id
     WHERE s.last_seq > f.seq OR s.ended_at IS NOT NULL`
  return rows.map((row) => ({
    workspaceId: workspaceIdSchema.parse(row.workspace_id),
    taskId: row.task_id,
  }))
}

/** Extends every lease of a replica at once. */
export async function renewStreams(db: Db, replicaId: string, leaseMs: number): Promise<void> {
  await db
    .update(a2aStreams)
    .set({ leaseUntil: sql`now() + ${leaseMs} * interval '1 millisecond'` })
    .where(
      and(
        eq(a2aStreams.owner, replicaId),
        isNull(a2aStreams.endedAt),
        // Not one that was lost already: somebody may be taking it over.
        gt(a2aStreams.leaseUntil, sql`now()`),
      ),
    )
}

/** Leaves all streams of a replica to the others, now. */
export async function leaveStreams(db: Db, replicaId: string): Promise<void> {
  await db
    .update(a2aStreams)
    .set({ leaseUntil: sql`now()` })
    .where(and(eq(a2aStreams.owner, replicaId), isNull(a2aStreams.endedAt)))
}

/** Makes this replica the owner of streams whose owner is gone, or hangs. */
export async function takeOverStreams(
  db: Db,
  by: { readonly replicaId: string; readonly leaseMs: number; readonly limit: number },
): Promise<OwnedStream[]> {
  const rows = await db.execute<{ workspace_id: string; task_id: string }>(sql`
    WITH lost AS (
      SELECT workspace_id, task_id FROM a2a_streams
       WHERE ended_at IS NULL AND lease_until <= now()
       ORDER BY lease_until LIMIT ${by.limit} FOR UPDATE SKIP LOCKED)
    UPDATE a2a_streams s SET owner = ${by.replicaId}, fence = nextval('a2a_fence'),
           lease_until = now() + ${by.leaseMs} * interval '1 millisecond'
      FROM lost WHERE s.workspace_id = lost.workspace_id AND s.task_id = lost.task_id
    RETURNING s.workspace_id, s.task_id`)
  const taken: OwnedStream[] = []
  for (const row of rows) {
    const key = { workspaceId: workspaceIdSchema.parse(row.workspace_id), taskId: row.task_id }
    const found = await db
      .select({ ...shown, fence })
      .from(a2aStreams)
      .where(and(isOf(key), eq(a2aStreams.owner, by.replicaId)))
    taken.push(...found.map(withId))
  }
  return taken
}

/** Removes streams that ended before, with their events; how many there were. */
export async function pruneStreams(db: Db, endedMsAgo: number): Promise<number> {
  const rows = await db
    .delete(a2aStreams)
    .where(lt(a2aStreams.endedAt, sql`now() - ${endedMsAgo} * interval '1 millisecond'`))
    .returning({ taskId: a2aStreams.taskId })
  return rows.length
}

/** The key of a notification; undefined for what is none. */
export function taskOfNotification(payload: string): TaskKey | undefined {
  const space = payload.indexOf(' ')
  const workspaceId = workspaceIdSchema.safeParse(payload.slice(0, Math.max(space, 0)))
  if (!workspaceId.success) return undefined
  return { workspaceId: workspaceId.data, taskId: payload.slice(space + 1) }
}
