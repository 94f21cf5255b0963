/**
 * @module Rows of `structure_events`. An event is written by the transaction that it tells of, and
 * gets its place in the order of reading afterwards: see ADR-0022.
 */
import { and, asc, desc, eq, gt, isNotNull, sql } from 'drizzle-orm'
import type { WorkspaceId } from '../domain/ids.ts'
import type { ToldEvent } from '../domain/told-event.ts'
import type { StructureEvent } from '../domain/workspace-events.ts'
import type { Db } from './client.ts'
import { preparedStatement } from './prepared-query.ts'
import { structureEvents } from './schema.ts'

/** Says that there are events to be read; what is lost of it is found by asking. */
export const EVENT_HINT_CHANNEL = 'atrium_events'

/** Carries what is told and not kept, from each replica to the others. */
export const BROADCAST_CHANNEL = 'atrium_broadcast'

/** Bytes that PostgreSQL takes as the payload of one notification. */
export const MAX_NOTIFICATION_BYTES = 7_999

/** Any number, the same on every replica: whoever gives places in the order holds it. */
const SEQUENCER_LOCK_KEY = 7_204_116_022

/** An event whose place is known. */
export type KeptEvent = ToldEvent & { readonly seq: number }

/** Writes an event within the caller's transaction, and wakes the readers when that commits. */
export async function appendEvent(
  db: Db,
  input: { readonly event: StructureEvent; readonly workspaceId: WorkspaceId; readonly now: Date },
): Promise<void> {
  await db
    .insert(structureEvents)
    .values({
      eventType: input.event.type,
      workspaceId: input.workspaceId,
      payload: storable(input.event.payload),
      createdAt: input.now,
    })
    .returning({ hint: sql`pg_notify(${EVENT_HINT_CHANNEL}, '')` })
}

/** What a workspace says of itself may hold what PostgreSQL's jsonb does not: NUL, half characters. */
function storable(payload: unknown): unknown {
  return JSON.parse(
    JSON.stringify(payload, (_, value: unknown) =>
      typeof value === 'string' ? value.replaceAll('\0', '\uFFFD').toWellFormed() : value,
    ),
  )
}

/**
 * Gives up to `limit` committed events their place and returns how many got one. The lock is held
 * until the commit, so whoever sees a place sees every lower one too: reading by `seq` neither skips
 * an event whose transaction took long nor tells one twice.
 */
export async function assignSequence(db: Db, limit: number): Promise<number> {
  const waiting = await db
    .select({ id: structureEvents.id })
    .from(structureEvents)
    .where(sql`${structureEvents.seq} IS NULL`)
    .limit(1)
  if (waiting.length === 0) return 0
  return await db.transaction(async (tx) => {
    // A statement of its own: the next one's snapshot has to be taken under the lock.
    await tx.execute(sql`SELECT pg_advisory_xact_lock(${SEQUENCER_LOCK_KEY})`)
    const rows = await tx.execute(sql`
      WITH placed AS MATERIALIZED (
        SELECT id, nextval('structure_events_seq') AS seq
          FROM (SELECT id FROM structure_events WHERE seq IS NULL ORDER BY id LIMIT ${limit}) waiting
      )
      UPDATE structure_events e SET seq = placed.seq FROM placed WHERE e.id = placed.id
      RETURNING e.id`)
    return rows.length
  })
}

/** Events that are given their place at a time. */
const PLACED_AT_ONCE = 500

/** Gives every committed event its place, by as many transactions as it takes. */
export async function placeWaitingEvents(db: Db): Promise<void> {
  while ((await assignSequence(db, PLACED_AT_ONCE)) === PLACED_AT_ONCE);
}

const notification = preparedStatement(
  'notify_broadcast',
  sql`SELECT pg_notify(${BROADCAST_CHANNEL}, ${sql.placeholder('payload')})`,
)

/** Tells whoever listens on `BROADCAST_CHANNEL`; at most `MAX_NOTIFICATION_BYTES` of UTF-8. */
export async function notifyBroadcast(db: Db, payload: string): Promise<void> {
  await notification(db, { payload })
}

const stored = {
  seq: structureEvents.seq,
  type: structureEvents.eventType,
  workspaceId: structureEvents.workspaceId,
  payload: structureEvents.payload,
  timestamp: structureEvents.createdAt,
}

/** The next `limit` events after place `after`, of one workspace or of all, in the order of reading. */
export async function readEventsAfter(
  db: Db,
  page: {
    readonly after: number
    readonly limit: number
    readonly workspaceId?: WorkspaceId | undefined
  },
): Promise<KeptEvent[]> {
  const rows = await db
    .select(stored)
    .from(structureEvents)
    .where(and(gt(structureEvents.seq, page.after), ofWorkspace(page.workspaceId)))
    .orderBy(asc(structureEvents.seq))
    .limit(page.limit)
  return rows.map(placed)
}

/** The newest `limit` events that have a place, newest first. */
export async function readLatestEvents(
  db: Db,
  page: { readonly limit: number; readonly workspaceId?: WorkspaceId | undefined },
): Promise<KeptEvent[]> {
  const rows = await db
    .select(stored)
    .from(structureEvents)
    .where(and(isNotNull(structureEvents.seq), ofWorkspace(page.workspaceId)))
    .orderBy(desc(structureEvents.seq))
    .limit(page.limit)
  return rows.map(placed)
}

/** The highest place given so far; 0 before the first event. */
export async function readHead(db: Db): Promise<number> {
  const [newest] = await readLatestEvents(db, { limit: 1 })
  return newest?.seq ?? 0
}

/**
 * Whether every event after place `cursor` is still there. Purging takes whole beginnings and never
 * the newest, so a place that exists has lost none of its successors; 0 stands before the first.
 */
export async function isResumable(db: Db, cursor: number): Promise<boolean> {
  const rows = await db
    .select({ seq: structureEvents.seq })
    .from(structureEvents)
    .where(eq(structureEvents.seq, Math.max(cursor, 1)))
  return rows.length === 1 || (cursor === 0 && (await readHead(db)) === 0)
}

/** Deletes up to `limit` of the oldest events that are older than `before`; returns how many. */
export async function purgeEvents(
  db: Db,
  input: { readonly before: Date; readonly limit: number },
): Promise<number> {
  // Up to the first that is young enough, in reading order: clocks of replicas may disagree.
  const rows = await db.execute(sql`
    DELETE FROM structure_events WHERE seq IN (
      SELECT seq FROM structure_events
       WHERE seq < coalesce(
         (SELECT seq FROM structure_events
           WHERE seq IS NOT NULL AND created_at >= ${input.before.toISOString()} ORDER BY seq LIMIT 1),
         (SELECT max(seq) FROM structure_events))
       ORDER BY seq LIMIT ${input.limit})
    RETURNING seq`)
  return rows.length
}

function ofWorkspace(workspaceId: WorkspaceId | undefined) {
  return workspaceId === undefined ? undefined : eq(structureEvents.workspaceId, workspaceId)
}

function placed(row: Omit<KeptEvent, 'seq'> & { readonly seq: number | null }): KeptEvent {
  if (row.seq === null) throw new Error('an event without a place was read by place')
  return { ...row, seq: row.seq }
}
