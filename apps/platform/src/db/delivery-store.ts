/**
 * @module The ledger's rows: every state is written here, and each write of a replica that sends
 * names the fence of its claim, so that one that was taken over writes nothing (ADR-0032). Leases
 * are kept by the database's clock, which all replicas share.
 */
import { and, count, desc, eq, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import {
  type Claim,
  type ClaimedDelivery,
  type Delivery,
  MAX_ATTEMPTS,
} from '../domain/delivery.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { EXTERNAL_RUNTIME_KIND } from '../domain/runtime-kind.ts'
import type { Db } from './client.ts'
import { a2aDeliveries, workspaces } from './schema.ts'

/** Payload: the workspace for which something waits, or has got room. */
export const DELIVERY_CHANNEL = 'atrium_delivery'
/** Payload: the delivery that has come to an end. */
export const DELIVERY_DONE_CHANNEL = 'atrium_delivery_done'

/** A beat that is older says nothing of what its agent does now: three of them are missing. */
const BEAT_COUNTS_MS = 90_000

const shown = {
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
const sent = {
  ...shown,
  fence: sql<string>`${a2aDeliveries.fence}::text`,
  request: a2aDeliveries.request,
  requestHeaders: a2aDeliveries.requestHeaders,
}

type Ids = { readonly workspaceId: string; readonly senderWorkspaceId: string | null }

function withIds<T extends Ids>(row: T) {
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

/** By the id that its agent has given to the task; the newest. */
export async function findDeliveryOfTask(
  db: Db,
  task: { readonly workspaceId: WorkspaceId; readonly upstreamTaskId: string },
): Promise<Delivery | undefined> {
  const rows = await db
    .select(shown)
    .from(a2aDeliveries)
    .where(
      and(
        eq(a2aDeliveries.workspaceId, task.workspaceId),
        eq(a2aDeliveries.upstreamTaskId, task.upstreamTaskId),
      ),
    )
    .orderBy(desc(a2aDeliveries.seq))
    .limit(1)
  return rows.map(withIds)[0]
}

const WAITING = ['queued', 'leased'] as const
const IN_FLIGHT = ['leased', 'dispatched'] as const

/** How many wait for the workspace, and at which place this one is, from 1; 0: it does not wait. */
export async function queuePlace(
  db: Db,
  delivery: { readonly workspaceId: WorkspaceId; readonly id: string },
): Promise<{ readonly depth: number; readonly position: number }> {
  const rows = await db.execute<{ depth: string; position: string }>(sql`
    WITH waiting AS (
      SELECT id, row_number() OVER (ORDER BY priority DESC, seq) AS place FROM a2a_deliveries
       WHERE workspace_id = ${delivery.workspaceId} AND state IN ('queued', 'leased'))
    SELECT count(*) AS depth, coalesce(max(place) FILTER (WHERE id = ${delivery.id}), 0) AS position
      FROM waiting`)
  const row = rows[0]
  return { depth: Number(row?.depth ?? 0), position: Number(row?.position ?? 0) }
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

type ClaimInput = {
  readonly workspaceId: WorkspaceId
  readonly replicaId: string
  readonly leaseMs: number
}

/**
 * Claims what the workspace has room for, in the order of its queue: nothing overtakes what must
 * still wait. One replica at a time; empty when another one is at it.
 */
export async function claimWaiting(db: Db, claim: ClaimInput): Promise<ClaimedDelivery[]> {
  return await db.transaction(async (tx) => {
    const [lock] = await tx.execute<{ isFree: boolean }>(
      sql`SELECT pg_try_advisory_xact_lock(hashtextextended(${`a2a:${claim.workspaceId}`}, 0)) AS "isFree"`,
    )
    if (lock?.isFree !== true) return []
    const room = await spareCapacity(tx, claim.workspaceId)
    if (room <= 0) return []
    const rows = await tx
      .update(a2aDeliveries)
      .set({
        state: 'leased',
        fence: sql`nextval('a2a_fence')`,
        leaseOwner: claim.replicaId,
        leaseUntil: leaseEnd(claim.leaseMs),
      })
      .where(inArray(a2aDeliveries.id, nextInLine(claim.workspaceId, room)))
      .returning({ ...sent, seq: a2aDeliveries.seq })
    return rows
      .toSorted((a, b) => b.priority - a.priority || a.seq - b.seq)
      .map(({ seq: _, ...row }) => withIds(row))
  })
}

/** What waits and is due, up to the first that is not: its turn comes before theirs. */
function nextInLine(workspaceId: WorkspaceId, room: number) {
  return sql`(
    SELECT id FROM (
      SELECT id, bool_and(next_attempt_at <= now()) OVER (
               ORDER BY priority DESC, seq ROWS UNBOUNDED PRECEDING) AS is_due, priority, seq
        FROM a2a_deliveries
       WHERE workspace_id = ${workspaceId} AND state = 'queued'
         AND (expires_at IS NULL OR expires_at > now())) line
     WHERE is_due ORDER BY priority DESC, seq LIMIT ${room})`
}

/** What an agent may still take on, by its own word and by what is on its way to it. */
async function spareCapacity(tx: Db, workspaceId: WorkspaceId): Promise<number> {
  const rows = await tx.execute<{ room: number | null }>(sql`
    SELECT w.max_concurrent_tasks - greatest(
        CASE WHEN w.last_heartbeat_at > now() - ${BEAT_COUNTS_MS} * interval '1 millisecond'
          THEN w.active_tasks ELSE 0 END,
        (SELECT count(*) FROM a2a_deliveries d
          WHERE d.workspace_id = w.id AND d.state IN ('leased', 'dispatched')))::integer AS room
      FROM workspaces w
     WHERE w.id = ${workspaceId} AND w.status IN ('online', 'degraded')
       AND (w.delivery_mode = 'push' OR (w.delivery_mode IS NULL AND w.runtime_kind <> ${EXTERNAL_RUNTIME_KIND}))`)
  return rows[0]?.room ?? 0
}

function leaseEnd(leaseMs: number) {
  return sql`now() + ${leaseMs} * interval '1 millisecond'`
}

function held(claim: Claim) {
  return and(
    eq(a2aDeliveries.id, claim.id),
    eq(a2aDeliveries.fence, Number(claim.fence)),
    inArray(a2aDeliveries.state, [...IN_FLIGHT]),
  )
}

/** Before the first byte is sent. False: taken over, or over; nothing may be sent. */
export async function markDispatched(db: Db, claim: Claim): Promise<boolean> {
  const rows = await db
    .update(a2aDeliveries)
    .set({
      state: 'dispatched',
      dispatchedAt: sql`now()`,
      attempts: sql`${a2aDeliveries.attempts} + 1`,
    })
    .where(and(held(claim), eq(a2aDeliveries.state, 'leased')))
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

/** The agent's id of the task, as soon as it is known: cancelling needs it before the end. */
export async function noteUpstreamTask(
  db: Db,
  claim: Claim,
  upstreamTaskId: string,
): Promise<boolean> {
  const rows = await db
    .update(a2aDeliveries)
    .set({ upstreamTaskId })
    .where(held(claim))
    .returning({ id: a2aDeliveries.id })
  return rows.length === 1
}

/** Extends every lease of a replica at once. */
export async function renewLeases(db: Db, replicaId: string, leaseMs: number): Promise<void> {
  await db
    .update(a2aDeliveries)
    .set({ leaseUntil: leaseEnd(leaseMs) })
    .where(
      and(
        eq(a2aDeliveries.leaseOwner, replicaId),
        inArray(a2aDeliveries.state, [...IN_FLIGHT]),
        // Not one that was lost already: somebody may be taking it over.
        sql`${a2aDeliveries.leaseUntil} > now()`,
      ),
    )
}

export type TakenOver = {
  readonly workspaceId: WorkspaceId
  readonly id: string
  readonly isQueued: boolean
}

/**
 * What a replica held that is gone, or hangs: of which nothing was sent waits again; of which the
 * outcome is unknown is sent again only when that does no harm.
 */
export async function takeOverLost(db: Db, limit: number): Promise<TakenOver[]> {
  const rows = await db.execute<{ id: string; workspace_id: string; state: string }>(sql`
    WITH lost AS (
      SELECT id, state = 'leased' OR (is_idempotent AND attempts < ${MAX_ATTEMPTS}) AS is_safe
        FROM a2a_deliveries
       WHERE state IN ('leased', 'dispatched') AND lease_until < now()
       ORDER BY lease_until LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ), taken AS (
      UPDATE a2a_deliveries d SET
        state = CASE WHEN lost.is_safe THEN 'queued' ELSE 'failed' END::delivery_state,
        -- Who held it writes nothing any more, even if it comes back.
        fence = nextval('a2a_fence'),
        lease_owner = NULL, lease_until = NULL,
        next_attempt_at = now(),
        last_error = 'the platform lost the one that sent it',
        reason = CASE WHEN lost.is_safe THEN NULL ELSE 'outcome_unknown' END,
        finished_at = CASE WHEN lost.is_safe THEN NULL ELSE now() END
        FROM lost WHERE d.id = lost.id
      RETURNING d.id, d.workspace_id, d.state, d.is_awaited
    ), told AS (
      SELECT pg_notify(${DELIVERY_DONE_CHANNEL}, id::text) FROM taken
       WHERE state = 'failed' AND is_awaited
    )
    SELECT id, workspace_id, state, (SELECT count(*) FROM told) AS told FROM taken`)
  return rows.map((row) => ({
    id: row.id,
    workspaceId: workspaceIdSchema.parse(row.workspace_id),
    isQueued: row.state === 'queued',
  }))
}

type Ended = { readonly id: string; readonly workspaceId: WorkspaceId }

function ended(rows: readonly { id: string; workspace_id: string }[]): Ended[] {
  return rows.map((row) => ({
    id: row.id,
    workspaceId: workspaceIdSchema.parse(row.workspace_id),
  }))
}

/** Ends what has waited too long for its sender. */
export async function expireWaiting(db: Db, limit: number): Promise<Ended[]> {
  const rows = await db.execute<{ id: string; workspace_id: string }>(sql`
    WITH late AS (
      SELECT id FROM a2a_deliveries
       WHERE state = 'queued' AND expires_at IS NOT NULL AND expires_at <= now()
       ORDER BY expires_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ), gone AS (
      UPDATE a2a_deliveries d SET state = 'expired', finished_at = now(), reason = 'expired',
             idempotency_key = NULL
        FROM late WHERE d.id = late.id
      RETURNING d.id, d.workspace_id
    )
    SELECT id, workspace_id, pg_notify(${DELIVERY_DONE_CHANNEL}, id::text) FROM gone`)
  return ended(rows)
}

/** Takes one out of the queue that has not been begun; false when it has, or is over. */
export async function dropWaiting(db: Db, id: string, reason: string): Promise<boolean> {
  const rows = await db.execute<{ id: string }>(sql`
    WITH gone AS (
      UPDATE a2a_deliveries SET state = 'dropped', finished_at = now(), reason = ${reason},
             idempotency_key = NULL
       WHERE id = ${id} AND state = 'queued' RETURNING id)
    SELECT id, pg_notify(${DELIVERY_DONE_CHANNEL}, id::text) FROM gone`)
  return rows.length === 1
}

/** Drops what has waited longer than `ageMs`, of one workspace or of all (contract/platform 4.7). */
export async function dropStale(
  db: Db,
  stale: { readonly ageMs: number; readonly workspaceId: WorkspaceId | undefined },
): Promise<Ended[]> {
  const ofWorkspace =
    stale.workspaceId === undefined ? sql`` : sql`AND workspace_id = ${stale.workspaceId}`
  const reason = `dropped by an operator after more than ${stale.ageMs / 60_000} minutes`
  const rows = await db.execute<{ id: string; workspace_id: string }>(sql`
    WITH gone AS (
      UPDATE a2a_deliveries SET state = 'dropped', finished_at = now(), idempotency_key = NULL,
             reason = ${reason}
       WHERE state = 'queued' ${ofWorkspace}
         AND enqueued_at < now() - ${stale.ageMs} * interval '1 millisecond'
      RETURNING id, workspace_id)
    SELECT id, workspace_id, pg_notify(${DELIVERY_DONE_CHANNEL}, id::text) FROM gone`)
  return ended(rows)
}

/** Workspaces for which something is due. */
export async function workspacesWithWaiting(db: Db, limit: number): Promise<WorkspaceId[]> {
  const rows = await db
    .selectDistinct({ id: a2aDeliveries.workspaceId })
    .from(a2aDeliveries)
    .where(and(eq(a2aDeliveries.state, 'queued'), sql`${a2aDeliveries.nextAttemptAt} <= now()`))
    .limit(limit)
  return rows.map(({ id }) => workspaceIdSchema.parse(id))
}

/** Removes what has been over for longer than it is kept; how many were. */
export async function pruneDeliveries(db: Db, before: Date, limit: number): Promise<number> {
  const old = db
    .select({ id: a2aDeliveries.id })
    .from(a2aDeliveries)
    .where(lt(a2aDeliveries.finishedAt, before))
    .limit(limit)
  const rows = await db
    .delete(a2aDeliveries)
    .where(inArray(a2aDeliveries.id, old))
    .returning({ id: a2aDeliveries.id })
  return rows.length
}

/** How many deliveries of a workspace are in which state: for operators. */
export async function countDeliveries(
  db: Db,
  workspaceId: WorkspaceId,
): Promise<ReadonlyMap<string, number>> {
  const rows = await db
    .select({ state: a2aDeliveries.state, count: count() })
    .from(a2aDeliveries)
    .innerJoin(workspaces, eq(workspaces.id, a2aDeliveries.workspaceId))
    .where(
      and(
        eq(a2aDeliveries.workspaceId, workspaceId),
        or(isNull(a2aDeliveries.finishedAt), inArray(a2aDeliveries.state, [...WAITING])),
      ),
    )
    .groupBy(a2aDeliveries.state)
  return new Map(rows.map((row) => [row.state, row.count]))
}
