/**
 * @module What has to be done to boxes: at most one row per workspace, which runs while its lease is
 * held and waits otherwise. Leases are kept by the database's clock, which all replicas share.
 *
 * Lock order: the workspace's row before its run, everywhere.
 */
import { and, eq, isNotNull, sql } from 'drizzle-orm'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { lifecycleRuns } from './schema.ts'

export type RunRequest = {
  readonly workspaceId: WorkspaceId
  /** The machine that alone can do it, or null. */
  readonly hostId: string | null
  /** For operators: `created`, `restart`, `runtime ended: signal SIGKILL`. */
  readonly reason: string
  readonly now: Date
  readonly delayMs?: number
  /** The workspace's row goes too, once nothing of it is left. */
  readonly isPurge?: boolean
}

/**
 * Asks for a run. What waits already takes the request over, at the earlier of both moments; what
 * runs already is followed by one more.
 */
export async function requestRun(db: Db, request: RunRequest): Promise<void> {
  const { workspaceId, hostId, reason, now, delayMs = 0, isPurge = false } = request
  const due = sql`now() + ${delayMs} * interval '1 millisecond'`
  await db.execute(sql`
    INSERT INTO lifecycle_runs (workspace_id, host_id, reason, requested_at, not_before, is_purge)
    VALUES (${workspaceId}, ${hostId}, ${reason}, ${now.toISOString()}::timestamptz, ${due}, ${isPurge})
    ON CONFLICT (workspace_id) DO UPDATE SET
      request = lifecycle_runs.request + 1,
      host_id = coalesce(excluded.host_id, lifecycle_runs.host_id),
      reason = excluded.reason,
      requested_at = excluded.requested_at,
      attempts = 0,
      last_error = NULL,
      is_purge = lifecycle_runs.is_purge OR excluded.is_purge,
      not_before = CASE WHEN lifecycle_runs.lease_until IS NULL
        THEN least(lifecycle_runs.not_before, excluded.not_before) ELSE excluded.not_before END`)
}

/** A run that this replica holds. */
export type Claim = {
  readonly workspaceId: WorkspaceId
  readonly fence: string
  /** The newest request that the claim has seen. */
  readonly request: string
  readonly reason: string
  readonly attempts: number
  readonly isPurge: boolean
  /** Whether another replica held it before and lost it. */
  readonly isTakeover: boolean
}

type ClaimedRow = {
  workspace_id: string
  fence: string
  request: string
  reason: string
  attempts: number
  is_purge: boolean
  is_takeover: boolean
}

/** Takes the run that is due longest and nobody holds; undefined when there is none. */
export async function claimRun(
  db: Db,
  claim: {
    readonly replicaId: string
    readonly hostId: string | null
    readonly leaseMs: number
  },
): Promise<Claim | undefined> {
  const rows = await db.execute<ClaimedRow>(sql`
    WITH due AS (
      SELECT workspace_id, lease_owner IS NOT NULL AS is_takeover FROM lifecycle_runs
       WHERE not_before <= now() AND (lease_until IS NULL OR lease_until < now())
         AND (host_id IS NULL OR host_id = ${claim.hostId})
       ORDER BY not_before LIMIT 1 FOR UPDATE SKIP LOCKED)
    UPDATE lifecycle_runs r SET
      fence = nextval('lifecycle_fence'),
      lease_owner = ${claim.replicaId},
      -- What begins on a machine is that machine's from then on.
      host_id = coalesce(r.host_id, ${claim.hostId}),
      lease_until = now() + ${claim.leaseMs} * interval '1 millisecond',
      attempts = r.attempts + 1
      FROM due WHERE r.workspace_id = due.workspace_id
    RETURNING r.workspace_id, r.fence::text, r.request::text, r.reason, r.attempts, r.is_purge,
      due.is_takeover`)
  const row = rows[0]
  if (row === undefined) return undefined
  return {
    workspaceId: workspaceIdSchema.parse(row.workspace_id),
    fence: row.fence,
    request: row.request,
    reason: row.reason,
    attempts: row.attempts,
    isPurge: row.is_purge,
    isTakeover: row.is_takeover,
  }
}

function held(claim: Pick<Claim, 'workspaceId' | 'fence'>) {
  return and(
    eq(lifecycleRuns.workspaceId, claim.workspaceId),
    eq(lifecycleRuns.fence, Number(claim.fence)),
    isNotNull(lifecycleRuns.leaseOwner),
  )
}

/** Extends the lease; undefined when it is held no more, otherwise the newest request. */
export async function renewLease(
  db: Db,
  claim: Pick<Claim, 'workspaceId' | 'fence'>,
  leaseMs: number,
): Promise<{ readonly request: string } | undefined> {
  const rows = await db
    .update(lifecycleRuns)
    .set({ leaseUntil: sql`now() + ${leaseMs} * interval '1 millisecond'` })
    .where(held(claim))
    .returning({ request: sql<string>`${lifecycleRuns.request}::text` })
  return rows[0]
}

/**
 * The newest request, with the run locked until the end of `tx`: what has been asked for up to here
 * is done by what follows. undefined when the run was taken over.
 */
export async function lockClaim(
  tx: Db,
  claim: Pick<Claim, 'workspaceId' | 'fence'>,
): Promise<{ readonly request: string } | undefined> {
  const rows = await tx
    .select({ request: sql<string>`${lifecycleRuns.request}::text` })
    .from(lifecycleRuns)
    .where(held(claim))
    .for('no key update')
  return rows[0]
}

/** Ends a run that is done up to `request`; one that was asked for meanwhile stays and waits. */
export async function finishRun(
  db: Db,
  claim: Pick<Claim, 'workspaceId' | 'fence'>,
  request: string,
): Promise<void> {
  const done = await db
    .delete(lifecycleRuns)
    .where(and(held(claim), sql`${lifecycleRuns.request} = ${request}::bigint`))
    .returning({ id: lifecycleRuns.workspaceId })
  if (done.length === 1) return
  await db
    .update(lifecycleRuns)
    .set({ leaseOwner: null, leaseUntil: null, attempts: 0 })
    .where(held(claim))
}

/** Gives a run back, to be tried again after `delayMs`, or at once when it was asked for again. */
export async function postponeRun(
  db: Db,
  claim: Pick<Claim, 'workspaceId' | 'fence'>,
  input: { readonly request: string; readonly delayMs: number; readonly error: string | null },
): Promise<void> {
  const delayMs = sql`CASE WHEN ${lifecycleRuns.request} = ${input.request}::bigint
    THEN ${input.delayMs}::int ELSE 0 END`
  await db
    .update(lifecycleRuns)
    .set({
      leaseOwner: null,
      leaseUntil: null,
      lastError: input.error,
      notBefore: sql`now() + ${delayMs} * interval '1 millisecond'`,
    })
    .where(held(claim))
}

/** Gives back everything that a replica holds: it is about to end. */
export async function releaseRuns(db: Db, replicaId: string): Promise<void> {
  await db
    .update(lifecycleRuns)
    .set({ leaseOwner: null, leaseUntil: null })
    .where(eq(lifecycleRuns.leaseOwner, replicaId))
}

/** Takes back what an earlier platform of this machine held when it died: nobody else can hold it. */
export async function releaseHostRuns(db: Db, hostId: string): Promise<void> {
  await db
    .update(lifecycleRuns)
    .set({ leaseOwner: null, leaseUntil: null })
    .where(eq(lifecycleRuns.hostId, hostId))
}

export type WaitingRun = {
  readonly workspaceId: string
  readonly lastError: string | null
}

/** Which of these workspaces have a run that has not ended, and what its last try failed with. */
export async function listRuns(
  db: Db,
  ids: readonly WorkspaceId[],
): Promise<readonly WaitingRun[]> {
  return db
    .select({ workspaceId: lifecycleRuns.workspaceId, lastError: lifecycleRuns.lastError })
    .from(lifecycleRuns)
    .where(sql`${lifecycleRuns.workspaceId} = ANY (${sql.param([...ids])}::uuid[])`)
}
