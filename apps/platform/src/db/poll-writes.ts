/**
 * @module Messages that their agent fetches, in the ledger: kept together with the row of the activity
 * log in which it finds them, and ended by what it answers (contract/platform 4.4, contract/a2a 2.8).
 */
import { and, eq, sql } from 'drizzle-orm'
import type { Accepted, Delivery, NewDelivery } from '../domain/delivery.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { EXTERNAL_RUNTIME_KIND } from '../domain/runtime-kind.ts'
import { storableTaskId } from '../domain/task-stream.ts'
import { appendActivity, type NewActivity } from './activity-store.ts'
import { type Db, inTransaction } from './client.ts'
import { DELIVERY_DONE_CHANNEL, keyHolder, shown, withIds } from './delivery-store.ts'
import { a2aDeliveries, activityLogs, workspaces } from './schema.ts'
import { whereLive } from './workspace-store.ts'

/**
 * Keeps a message and its row of the log, both or neither; nothing of one that is `known`, a
 * `conflict`, `full` or `absent`.
 */
export async function keepPolled(
  db: Db,
  message: { readonly delivery: NewDelivery; readonly activity: NewActivity },
  queueCap: number,
): Promise<Exclude<Accepted, { kind: 'dispatched' }>> {
  const { delivery, activity } = message
  const { workspaceId } = delivery
  return await inTransaction(db, async (tx) => {
    // Held until commit: of two repetitions the second finds what the first has kept.
    const live = await tx
      .select({ id: workspaces.id })
      .from(workspaces)
      .where(and(eq(workspaces.id, workspaceId), whereLive))
      .for('no key update')
    if (live.length === 0) return { kind: 'absent' }
    const holder = await keyHolder(tx, delivery)
    if (holder !== undefined && holder.kind !== 'dispatched') return holder
    const depth = await countUnread(tx, workspaceId)
    if (depth >= queueCap) return { kind: 'full', depth }
    await insertWaiting(tx, delivery, activity.id)
    const appended = await appendActivity(tx, { ...activity, queueId: delivery.id })
    if (appended !== 'appended') throw new Error('a message was kept without its activity')
    return { kind: 'queued', id: delivery.id, depth: depth + 1, position: depth + 1 }
  })
}

async function countUnread(tx: Db, workspaceId: WorkspaceId): Promise<number> {
  return await tx.$count(
    a2aDeliveries,
    and(
      eq(a2aDeliveries.workspaceId, workspaceId),
      eq(a2aDeliveries.deliveryMode, 'poll'),
      eq(a2aDeliveries.state, 'queued'),
    ),
  )
}

async function insertWaiting(tx: Db, delivery: NewDelivery, activityId: string): Promise<void> {
  const { key, mode, ...columns } = delivery
  const now = sql`now()`
  await tx.insert(a2aDeliveries).values({
    ...columns,
    state: 'queued',
    deliveryMode: mode,
    activityId,
    idempotencyKey: key?.value ?? null,
    keyExpiresAt: key?.expiresAt ?? null,
    // By the clock that everything in the ledger is compared with.
    nextAttemptAt: now,
    enqueuedAt: now,
    queuedAt: now,
  })
}

/** Messages that were to be sent to agents which fetch theirs by now. */
export async function strandedDeliveries(db: Db, limit: number): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    SELECT d.id FROM a2a_deliveries d JOIN workspaces w ON w.id = d.workspace_id
     WHERE d.state = 'queued' AND d.delivery_mode = 'push' AND w.status <> 'removed'
       AND (w.delivery_mode = 'poll'
         OR (w.delivery_mode IS NULL AND w.runtime_kind = ${EXTERNAL_RUNTIME_KIND}))
     ORDER BY d.seq LIMIT ${limit}`)
  return rows.map(({ id }) => id)
}

/** One of them, locked until the transaction ends; undefined when it has gone on meanwhile. */
export async function lockStranded(tx: Db, id: string): Promise<StrandedDelivery | undefined> {
  const rows = await tx
    .select({ ...shown, request: a2aDeliveries.request })
    .from(a2aDeliveries)
    .where(
      and(
        eq(a2aDeliveries.id, id),
        eq(a2aDeliveries.state, 'queued'),
        eq(a2aDeliveries.deliveryMode, 'push'),
      ),
    )
    .for('update', { skipLocked: true })
  return rows.map(withIds)[0]
}

export type StrandedDelivery = Delivery & { readonly request: Buffer }

/** Lets its agent fetch it: in the row of the log that is appended with it. */
export async function handOver(
  tx: Db,
  delivery: Pick<Delivery, 'id' | 'expiresAt'>,
  given: { readonly activity: NewActivity; readonly expiresAt: Date },
): Promise<void> {
  const { activity, expiresAt } = given
  const appended = await appendActivity(tx, { ...activity, queueId: delivery.id })
  if (appended !== 'appended') throw new Error('a message was handed over without its activity')
  await tx
    .update(a2aDeliveries)
    .set({
      deliveryMode: 'poll',
      activityId: activity.id,
      // What an attempt may have reached is not said to have never arrived.
      reason: sql`CASE WHEN ${a2aDeliveries.reason} = 'outcome_unknown' THEN ${a2aDeliveries.reason} END`,
      expiresAt: delivery.expiresAt ?? expiresAt,
    })
    .where(eq(a2aDeliveries.id, delivery.id))
}

export type PolledReply = {
  readonly id: string
  readonly workspaceId: WorkspaceId
  /** As the sender is to read it: a JSON-RPC answer. */
  readonly response: Buffer
  /** The same for the log; null when it cannot be stored there. */
  readonly responseBody: unknown
  readonly upstreamTaskId: string | null
}

/**
 * Ends a message with what its agent answers, which the log then shows beside it; false when it is
 * over, or was not for that agent.
 */
export async function completePolled(db: Db, reply: PolledReply): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const rows = await tx
      .update(a2aDeliveries)
      .set({
        state: 'completed',
        finishedAt: sql`now()`,
        request: Buffer.alloc(0),
        responseStatus: 200,
        response: reply.response,
        upstreamTaskId: storableTaskId(reply.upstreamTaskId),
        reason: null,
      })
      .where(
        and(
          eq(a2aDeliveries.id, reply.id),
          eq(a2aDeliveries.workspaceId, reply.workspaceId),
          eq(a2aDeliveries.deliveryMode, 'poll'),
          eq(a2aDeliveries.state, 'queued'),
        ),
      )
      .returning({
        activityId: a2aDeliveries.activityId,
        told: sql`pg_notify(${DELIVERY_DONE_CHANNEL}, ${a2aDeliveries.id}::text)`,
      })
    const ended = rows[0]
    if (ended === undefined) return false
    // The log may have forgotten it already.
    if (ended.activityId !== null) await noteResponse(tx, ended.activityId, reply)
    return true
  })
}

async function noteResponse(tx: Db, activityId: string, reply: PolledReply): Promise<void> {
  const { response, responseBody } = reply
  if (responseBody === null) return
  await tx
    .update(activityLogs)
    .set({ responseBody, bodyBytes: sql`${activityLogs.bodyBytes} + ${response.length}` })
    .where(and(eq(activityLogs.id, activityId), eq(activityLogs.workspaceId, reply.workspaceId)))
}
