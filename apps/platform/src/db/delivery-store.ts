/**
 * @module The ledger's rows: every state is written here, and each write of a replica that sends
 * names the fence of its claim, so that one that was taken over writes nothing (ADR-0032). Leases
 * are kept by the database's clock, which all replicas share.
 */
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import { and, count, eq, inArray, sql } from 'drizzle-orm'
import type { Accepted, Claim, Delivery, DeliveryState, NewDelivery } from '../domain/delivery.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { a2aDeliveries } from './schema.ts'

/** Payload: the workspace for which something waits, or has got room. */
export const DELIVERY_CHANNEL = 'atrium_delivery'
/** Payload: the delivery that has come to an end. */
export const DELIVERY_DONE_CHANNEL = 'atrium_delivery_done'

/** Of a row what its readers need. */
export const shown = {
  id: a2aDeliveries.id,
  workspaceId: a2aDeliveries.workspaceId,
  sender: a2aDeliveries.sender,
  senderWorkspaceId: a2aDeliveries.senderWorkspaceId,
  state: a2aDeliveries.state,
  mode: a2aDeliveries.deliveryMode,
  dialect: a2aDeliveries.dialect,
  method: a2aDeliveries.method,
  isStreaming: a2aDeliveries.isStreaming,
  contextId: a2aDeliveries.contextId,
  messageId: a2aDeliveries.messageId,
  fingerprint: a2aDeliveries.fingerprint,
  isIdempotent: a2aDeliveries.isIdempotent,
  attempts: a2aDeliveries.attempts,
  priority: a2aDeliveries.priority,
  enqueuedAt: a2aDeliveries.enqueuedAt,
  dispatchedAt: a2aDeliveries.dispatchedAt,
  finishedAt: a2aDeliveries.finishedAt,
  expiresAt: a2aDeliveries.expiresAt,
  nextAttemptAt: a2aDeliveries.nextAttemptAt,
  lastError: a2aDeliveries.lastError,
  reason: a2aDeliveries.reason,
  responseStatus: a2aDeliveries.responseStatus,
  response: a2aDeliveries.response,
  upstreamTaskId: a2aDeliveries.upstreamTaskId,
  delegationId: a2aDeliveries.delegationId,
  activityId: a2aDeliveries.activityId,
}
/** Of a row what is needed to send it. */
export const sent = {
  ...shown,
  fence: sql<string>`${a2aDeliveries.fence}::text`,
  request: a2aDeliveries.request,
  requestHeaders: a2aDeliveries.requestHeaders,
}

type Ids = { readonly workspaceId: string; readonly senderWorkspaceId: string | null }

export function withIds<T extends Ids>(row: T) {
  return {
    ...row,
    workspaceId: workspaceIdSchema.parse(row.workspaceId),
    senderWorkspaceId:
      row.senderWorkspaceId === null ? null : workspaceIdSchema.parse(row.senderWorkspaceId),
  }
}

export async function findDelivery(db: Db, id: string): Promise<Delivery | undefined> {
  const rows = await db.select(shown).from(a2aDeliveries).where(eq(a2aDeliveries.id, id))
  return rows.map(withIds)[0]
}

/** What is to be sent, as long as it may be; empty when it is over. */
export async function findRequest(db: Db, id: string): Promise<Buffer | undefined> {
  const rows = await db
    .select({ request: a2aDeliveries.request })
    .from(a2aDeliveries)
    .where(eq(a2aDeliveries.id, id))
  return rows[0]?.request
}

/** In no order. */
export async function findDeliveries(db: Db, ids: readonly string[]): Promise<Delivery[]> {
  if (ids.length === 0) return []
  const rows = await db
    .select(shown)
    .from(a2aDeliveries)
    .where(inArray(a2aDeliveries.id, [...ids]))
  return rows.map(withIds)
}

export const IN_FLIGHT = ['leased', 'dispatched'] as const

/** How many wait for the workspace, and at which place this one is, from 1; 0: it does not wait. */
export async function queuePlace(
  db: Db,
  delivery: Pick<Delivery, 'workspaceId' | 'id' | 'mode'>,
): Promise<{ readonly depth: number; readonly position: number }> {
  const rows = await db.execute<{ depth: string; position: string }>(sql`
    WITH waiting AS (
      SELECT id, row_number() OVER (ORDER BY priority DESC, seq) AS place FROM a2a_deliveries
       WHERE workspace_id = ${delivery.workspaceId} AND state IN ('queued', 'leased')
         AND delivery_mode = ${delivery.mode})
    SELECT count(*) AS depth, coalesce(max(place) FILTER (WHERE id = ${delivery.id}), 0) AS position
      FROM waiting`)
  const row = rows[0]
  return { depth: Number(row?.depth ?? 0), position: Number(row?.position ?? 0) }
}

/** Has the queue of a workspace that can be called again looked at, once that has committed. */
export async function tellOfRoom(tx: Db, workspaceId: string): Promise<void> {
  await tx.execute(sql`
    SELECT pg_notify(${DELIVERY_CHANNEL}, ${workspaceId}::text) WHERE EXISTS (
      SELECT 1 FROM a2a_deliveries d WHERE d.workspace_id = ${workspaceId}
         AND d.state = 'queued' AND d.delivery_mode = 'push')`)
}

/** Whose the key is; undefined when it is nobody's, or its time is over, which frees it. */
export async function keyHolder(db: Db, item: NewDelivery): Promise<Accepted | undefined> {
  if (item.key === null) return undefined
  const fingerprint = item.fingerprint.toString('hex')
  const rows = await db.execute<{ id: string; is_live: boolean; is_same: boolean }>(sql`
    SELECT id, key_expires_at > now() AS is_live,
           fingerprint = decode(${fingerprint}, 'hex') AS is_same
      FROM a2a_deliveries
     WHERE workspace_id = ${item.workspaceId} AND sender = ${item.sender}
       AND idempotency_key = ${item.key.value}`)
  const holder = rows[0]
  if (holder === undefined) return undefined
  if (!holder.is_live) {
    await db.execute(sql`UPDATE a2a_deliveries SET idempotency_key = NULL WHERE id = ${holder.id}`)
    return undefined
  }
  if (!holder.is_same) return { kind: 'conflict', id: holder.id }
  const delivery = await findDelivery(db, holder.id)
  return delivery && { kind: 'known', delivery }
}

/** Deliveries whose end this replica wants to hear of, whichever replica brings it about. */
export async function awaitDelivery(db: Db, id: string): Promise<Delivery | undefined> {
  const rows = await db
    .update(a2aDeliveries)
    .set({ isAwaited: true })
    .where(eq(a2aDeliveries.id, id))
    .returning(shown)
  return rows.map(withIds)[0]
}

function held(claim: Claim) {
  return and(
    eq(a2aDeliveries.id, claim.id),
    eq(a2aDeliveries.fence, Number(claim.fence)),
    inArray(a2aDeliveries.state, [...IN_FLIGHT]),
  )
}

/** Before the first byte is sent. False: taken over or about to be, or over; nothing may be sent. */
export async function markDispatched(db: Db, claim: Claim): Promise<boolean> {
  const rows = await db
    .update(a2aDeliveries)
    .set({
      state: 'dispatched',
      dispatchedAt: sql`now()`,
      attempts: sql`${a2aDeliveries.attempts} + 1`,
    })
    .where(
      and(
        held(claim),
        eq(a2aDeliveries.state, 'leased'),
        // Whoever takes over what is only leased sends it again: one of the two must not.
        sql`${a2aDeliveries.leaseUntil} > now()`,
      ),
    )
    .returning({ id: a2aDeliveries.id })
  return rows.length === 1
}

/** Puts a claim back of which nothing was sent, due again after `delayMs`. */
export async function releaseClaim(
  db: Db,
  claim: Claim,
  back: { readonly delayMs: number; readonly error: string | null },
): Promise<boolean> {
  const rows = await db
    .update(a2aDeliveries)
    .set({
      state: 'queued',
      leaseOwner: null,
      leaseUntil: null,
      lastError: back.error,
      nextAttemptAt: sql`now() + ${back.delayMs} * interval '1 millisecond'`,
    })
    .where(and(held(claim), eq(a2aDeliveries.state, 'leased')))
    .returning({ id: a2aDeliveries.id })
  return rows.length === 1
}

/** Takes one out of the queue that has not been begun; false when it has, or is over. */
export async function dropWaiting(db: Db, id: string, reason: string): Promise<boolean> {
  const rows = await db.execute<{ id: string }>(sql`
    WITH gone AS (
      UPDATE a2a_deliveries SET state = 'dropped', finished_at = now(), request = '',
             reason = ${reason},
             idempotency_key = CASE WHEN attempts = 0 THEN NULL ELSE idempotency_key END
       WHERE id = ${id} AND state = 'queued' RETURNING id)
    SELECT id, pg_notify(${DELIVERY_DONE_CHANNEL}, id::text) FROM gone`)
  return rows.length === 1
}

/** How many are in which state, of one workspace or of all, and the oldest of each. */
export async function countDeliveries(
  db: Db,
  workspaceId: WorkspaceId | undefined,
): Promise<readonly { state: DeliveryState; mode: DeliveryMode; count: number; oldest: Date }[]> {
  const oldest = sql`min(${a2aDeliveries.enqueuedAt})`.mapWith(a2aDeliveries.enqueuedAt)
  return await db
    .select({
      state: a2aDeliveries.state,
      mode: a2aDeliveries.deliveryMode,
      count: count(),
      oldest,
    })
    .from(a2aDeliveries)
    .where(workspaceId === undefined ? undefined : eq(a2aDeliveries.workspaceId, workspaceId))
    .groupBy(a2aDeliveries.state, a2aDeliveries.deliveryMode)
    .orderBy(a2aDeliveries.state, a2aDeliveries.deliveryMode)
}
