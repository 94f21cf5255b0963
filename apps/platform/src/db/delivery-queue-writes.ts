/**
 * @module What waits in the ledger: claimed in the order of its queue, taken over from replicas that
 * are gone, ended when it has waited too long (ADR-0032).
 */
import { and, eq, inArray, lt, sql } from 'drizzle-orm'
import { type ClaimedDelivery, MAX_ATTEMPTS } from '../domain/delivery.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { EXTERNAL_RUNTIME_KIND } from '../domain/runtime-kind.ts'
import type { Db } from './client.ts'
import type { OldRows } from './delete-old-rows.ts'
import { DELIVERY_DONE_CHANNEL, IN_FLIGHT, sent, withIds } from './delivery-store.ts'
import { a2aDeliveries } from './schema.ts'

/** A beat that is older says nothing of what its agent does now: three of them are missing. */
const BEAT_COUNTS_MS = 90_000

type ClaimInput = {
  readonly workspaceId: WorkspaceId
  readonly replicaId: string
  readonly leaseMs: number
  /** Something of it has just ended, or it said so: what was refused as too much is due again. */
  readonly hasProvenRoom?: boolean
}

/**
 * Claims what the workspace has room for, in the order of its queue: nothing overtakes what must
 * still wait. One replica at a time; undefined when another one is at it, which may not have seen
 * what this one was told of.
 */
export async function claimWaiting(
  db: Db,
  claim: ClaimInput,
): Promise<ClaimedDelivery[] | undefined> {
  return await db.transaction(async (tx) => {
    const [lock] = await tx.execute<{ isFree: boolean }>(
      sql`SELECT pg_try_advisory_xact_lock(hashtextextended(${`a2a:${claim.workspaceId}`}, 0)) AS "isFree"`,
    )
    if (lock?.isFree !== true) return undefined
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
      .where(
        and(
          inArray(a2aDeliveries.id, nextInLine(claim, room)),
          // Again for the row as it is once its lock is had: it may be cancelled meanwhile.
          eq(a2aDeliveries.state, 'queued'),
        ),
      )
      .returning({ ...sent, seq: a2aDeliveries.seq })
    return rows
      .toSorted((a, b) => b.priority - a.priority || a.seq - b.seq)
      .map(({ seq: _, ...row }) => withIds(row))
  })
}

/** What waits and is due, up to the first that is not: its turn comes before theirs. */
function nextInLine({ workspaceId, hasProvenRoom }: ClaimInput, room: number) {
  const isDue = sql`(next_attempt_at <= now()
    OR (${hasProvenRoom === true}::boolean AND reason = 'agent_busy'))`
  return sql`(
    SELECT id FROM (
      SELECT id, bool_and(${isDue}) OVER (
               ORDER BY priority DESC, seq ROWS UNBOUNDED PRECEDING) AS is_due, priority, seq
        FROM a2a_deliveries
       WHERE workspace_id = ${workspaceId} AND state = 'queued' AND delivery_mode = 'push'
         AND (expires_at IS NULL OR expires_at > now())) line
     WHERE is_due ORDER BY priority DESC, seq LIMIT ${room})`
}

/** Who is called, and is there. */
const IS_CALLED = sql`w.status IN ('online', 'degraded')
  AND (w.delivery_mode = 'push' OR (w.delivery_mode IS NULL AND w.runtime_kind <> ${EXTERNAL_RUNTIME_KIND}))`

/**
 * What an agent may still take on, by what is on its way to it and by its own word, to which is added
 * what has begun since and from which is taken off what has ended since. Too much does no harm: an
 * agent says that it is busy.
 */
async function spareCapacity(tx: Db, workspaceId: WorkspaceId): Promise<number> {
  const rows = await tx.execute<{ room: number | null }>(sql`
    SELECT w.max_concurrent_tasks - greatest(flight.all_of_them,
        CASE WHEN w.last_heartbeat_at > now() - ${BEAT_COUNTS_MS} * interval '1 millisecond'
          THEN w.active_tasks + flight.since_beat - (SELECT count(*) FROM a2a_deliveries d
            WHERE d.finished_at > w.last_heartbeat_at AND d.dispatched_at <= w.last_heartbeat_at
              AND d.workspace_id = w.id) ELSE 0 END)::integer AS room
      FROM workspaces w CROSS JOIN LATERAL (
        SELECT count(*) AS all_of_them, count(*) FILTER (
                 WHERE d.state = 'leased' OR d.dispatched_at > w.last_heartbeat_at) AS since_beat
          FROM a2a_deliveries d
         WHERE d.workspace_id = w.id AND d.state IN ('leased', 'dispatched')) flight
     WHERE w.id = ${workspaceId} AND ${IS_CALLED}`)
  return rows[0]?.room ?? 0
}

function leaseEnd(leaseMs: number) {
  return sql`now() + ${leaseMs} * interval '1 millisecond'`
}

export type HeldLeases = {
  readonly leaseMs: number
  /** Of the claims that it holds. */
  readonly fences: readonly string[]
}

/**
 * Extends the leases of what a replica is sending at once, but not one that was lost already: somebody
 * may be taking it over. What is being written at that moment is passed over, so that neither waits.
 */
export async function renewLeases(db: Db, held: HeldLeases): Promise<void> {
  const { leaseMs, fences } = held
  if (fences.length === 0) return
  const own = db
    .select({ id: a2aDeliveries.id })
    .from(a2aDeliveries)
    .where(
      and(
        inArray(a2aDeliveries.state, [...IN_FLIGHT]),
        sql`${a2aDeliveries.leaseUntil} > now()`,
        sql`${a2aDeliveries.fence} = ANY (${sql.param(fences)}::bigint[])`,
      ),
    )
    .for('update', { skipLocked: true })
  await db
    .update(a2aDeliveries)
    .set({ leaseUntil: leaseEnd(leaseMs) })
    .where(inArray(a2aDeliveries.id, own))
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
      SELECT id, state = 'dispatched' AS is_unknown,
             state = 'leased' OR (is_idempotent AND attempts < ${MAX_ATTEMPTS}) AS is_safe
        FROM a2a_deliveries
       WHERE state IN ('leased', 'dispatched') AND lease_until < now()
       ORDER BY lease_until LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ), taken AS (
      UPDATE a2a_deliveries d SET
        state = CASE WHEN lost.is_safe THEN 'queued' ELSE 'failed' END::delivery_state,
        lease_owner = NULL, lease_until = NULL,
        next_attempt_at = now(),
        last_error = 'the platform lost the one that sent it',
        reason = CASE WHEN lost.is_unknown THEN 'outcome_unknown' ELSE d.reason END,
        finished_at = CASE WHEN lost.is_safe THEN NULL ELSE now() END,
        request = CASE WHEN lost.is_safe THEN d.request ELSE '' END
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
      -- What may have reached its agent is not said to have been too late.
      UPDATE a2a_deliveries d SET finished_at = now(), request = '',
             state = (CASE WHEN d.reason = 'outcome_unknown' THEN 'failed' ELSE 'expired' END)::delivery_state,
             reason = CASE WHEN d.reason = 'outcome_unknown' THEN d.reason ELSE 'expired' END,
             idempotency_key = CASE WHEN d.attempts = 0 THEN NULL ELSE d.idempotency_key END
        FROM late WHERE d.id = late.id
      RETURNING d.id, d.workspace_id
    )
    SELECT id, workspace_id, pg_notify(${DELIVERY_DONE_CHANNEL}, id::text) FROM gone`)
  return ended(rows)
}

/**
 * Ends what waits for a workspace that is gone, or to be sent to one that has failed and is not
 * started again by itself; their senders are told.
 */
export async function failOfEnded(db: Db, limit: number): Promise<Ended[]> {
  const rows = await db.execute<{ id: string; workspace_id: string }>(sql`
    WITH orphan AS (
      SELECT d.id, w.status FROM a2a_deliveries d JOIN workspaces w ON w.id = d.workspace_id
       WHERE d.state = 'queued' AND (w.status = 'removed'
         OR (w.status = 'failed' AND d.delivery_mode = 'push'))
       ORDER BY d.seq LIMIT ${limit} FOR UPDATE OF d SKIP LOCKED
    ), gone AS (
      UPDATE a2a_deliveries d SET state = 'failed', finished_at = now(), request = '',
             reason = CASE WHEN d.reason = 'outcome_unknown' THEN d.reason
                           WHEN orphan.status = 'failed' THEN 'workspace_failed'
                           ELSE 'workspace_not_found' END,
             last_error = CASE WHEN orphan.status = 'failed'
               THEN 'the workspace has failed and is not started again by itself'
               ELSE 'the workspace was removed' END,
             idempotency_key = CASE WHEN d.attempts = 0 THEN NULL ELSE d.idempotency_key END
        FROM orphan WHERE d.id = orphan.id
      RETURNING d.id, d.workspace_id)
    SELECT id, workspace_id, pg_notify(${DELIVERY_DONE_CHANNEL}, id::text) FROM gone`)
  return ended(rows)
}

export type Stale = { readonly ageMs: number; readonly workspaceId: WorkspaceId | undefined }

/** Drops what has waited longer than `ageMs`, of one workspace or of all (contract/platform 4.7). */
export async function dropStale(db: Db, stale: Stale, limit: number): Promise<Ended[]> {
  const ofWorkspace =
    stale.workspaceId === undefined ? sql`` : sql`AND workspace_id = ${stale.workspaceId}`
  const reason = `dropped by an operator after more than ${stale.ageMs / 60_000} minutes`
  const rows = await db.execute<{ id: string; workspace_id: string }>(sql`
    WITH stale AS (
      SELECT id FROM a2a_deliveries
       WHERE state = 'queued' ${ofWorkspace}
         AND enqueued_at < now() - ${stale.ageMs} * interval '1 millisecond'
       LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ), gone AS (
      UPDATE a2a_deliveries d SET state = 'dropped', finished_at = now(), request = '',
             reason = ${reason},
             idempotency_key = CASE WHEN d.attempts = 0 THEN NULL ELSE d.idempotency_key END
        FROM stale WHERE d.id = stale.id
      RETURNING d.id, d.workspace_id)
    SELECT id, workspace_id, pg_notify(${DELIVERY_DONE_CHANNEL}, id::text) FROM gone`)
  return ended(rows)
}

/** Workspaces that can be called and for which something is due, other ones each time. */
export async function workspacesWithWaiting(db: Db, limit: number): Promise<WorkspaceId[]> {
  const rows = await db.execute<{ id: string }>(sql`
    SELECT w.id FROM workspaces w
     WHERE ${IS_CALLED} AND EXISTS (
       SELECT 1 FROM a2a_deliveries d
        WHERE d.workspace_id = w.id AND d.state = 'queued'
          AND d.delivery_mode = 'push' AND d.next_attempt_at <= now())
     ORDER BY random() LIMIT ${limit}`)
  return rows.map(({ id }) => workspaceIdSchema.parse(id))
}

/** Removes what has been over for longer than it is kept; how many were. */
export async function pruneDeliveries(db: Db, { before, limit }: OldRows): Promise<number> {
  const old = db
    .select({ id: a2aDeliveries.id })
    .from(a2aDeliveries)
    .where(lt(a2aDeliveries.finishedAt, before))
    .orderBy(a2aDeliveries.finishedAt)
    .limit(limit)
    .for('update', { skipLocked: true })
  const rows = await db
    .delete(a2aDeliveries)
    .where(inArray(a2aDeliveries.id, old))
    .returning({ id: a2aDeliveries.id })
  return rows.length
}
