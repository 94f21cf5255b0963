/** @module What the reconcilers look for, and what they last did (GET /admin/liveness). */
import { and, asc, eq, gt, inArray, isNotNull, isNull, lt, ne, or, sql } from 'drizzle-orm'
import { EXTERNAL_RUNTIME_KIND } from '../domain/runtime-kind.ts'
import type { Db } from './client.ts'
import { lifecycleRuns, sweepPasses, type WorkspaceRow, workspaces } from './schema.ts'
import { whereLive } from './workspace-store.ts'

/**
 * Rows that are read at a time, in the order of their ids: what a pass has looked at and cannot put
 * right must not stand before those that it has not looked at.
 */
const BATCH = 500

/** Where a pass has come to: the id of the last row it looked at; undefined at its beginning. */
export type After = string | undefined

const follows = (after: After) => (after === undefined ? undefined : gt(workspaces.id, after))

const isAwake = inArray(workspaces.status, ['online', 'degraded'])
const isExternalRow = eq(workspaces.runtimeKind, EXTERNAL_RUNTIME_KIND)
const isInternalRow = ne(workspaces.runtimeKind, EXTERNAL_RUNTIME_KIND)

/** Takes a pass when none began within `everyMs`: of all replicas one makes it. */
export async function claimPass(
  db: Db,
  pass: { readonly name: string; readonly everyMs: number; readonly replicaId: string },
): Promise<boolean> {
  const rows = await db.execute(sql`
    INSERT INTO sweep_passes (name, last_tick_at, replica_id, took_ms, result)
    VALUES (${pass.name}, now(), ${pass.replicaId}, 0, '{"running":true}')
    ON CONFLICT (name) DO UPDATE SET last_tick_at = now(), replica_id = excluded.replica_id
     WHERE sweep_passes.last_tick_at <= now() - ${pass.everyMs} * interval '1 millisecond'
    RETURNING name`)
  return rows.length === 1
}

export async function recordPass(
  db: Db,
  pass: { readonly name: string; readonly tookMs: number; readonly result: unknown },
): Promise<void> {
  await db
    .update(sweepPasses)
    .set({ tookMs: pass.tookMs, result: pass.result })
    .where(eq(sweepPasses.name, pass.name))
}

export type SweepPass = typeof sweepPasses.$inferSelect

export async function listPasses(db: Db): Promise<readonly SweepPass[]> {
  return db.select().from(sweepPasses).orderBy(asc(sweepPasses.name))
}

export type RunFigures = {
  readonly waiting: number
  readonly running: number
  readonly failing: number
  /** Seconds that the oldest due run waits; 0 when none does. */
  readonly oldestDueSeconds: number
}

export async function readRunFigures(db: Db): Promise<RunFigures> {
  const due = sql`${lifecycleRuns.notBefore} <= now() AND ${lifecycleRuns.leaseUntil} IS NULL`
  const rows = await db
    .select({
      waiting: sql<number>`count(*) FILTER (WHERE ${lifecycleRuns.leaseUntil} IS NULL)::int`,
      running: sql<number>`count(*) FILTER (WHERE ${lifecycleRuns.leaseUntil} >= now())::int`,
      failing: sql<number>`count(*) FILTER (WHERE ${lifecycleRuns.lastError} IS NOT NULL)::int`,
      oldestDueSeconds: sql<number>`coalesce(floor(extract(epoch FROM
        now() - min(${lifecycleRuns.notBefore}) FILTER (WHERE ${due}))), 0)::int`,
    })
    .from(lifecycleRuns)
  return rows[0] ?? { waiting: 0, running: 0, failing: 0, oldestDueSeconds: 0 }
}

export type UploadSweepFigures = {
  /** Awake workspaces whose last beat told of a sweep of their upload folder. */
  readonly workspaces: number
  readonly removed: number
  /** Of how many something stayed that should have gone. */
  readonly failing: number
  /** Since the pass that is longest ago, of all of these; null without any. */
  readonly oldestSecondsAgo: number | null
}

/** What runtimes say of their last sweeps, as their beats were stored (`domain/runtime-metadata.ts`). */
export async function readUploadSweepFigures(db: Db, now: Date): Promise<UploadSweepFigures> {
  const told = sql`${workspaces.runtimeMetadata}->'upload_sweep'`
  const figure = (name: string) => sql`(${told}->>${name})::bigint`
  const sinceBeat = sql`extract(epoch FROM ${now.toISOString()}::timestamptz - ${workspaces.lastHeartbeatAt})`
  const rows = await db
    .select({
      workspaces: sql<number>`count(*)::int`,
      removed: sql<number>`coalesce(sum(${figure('removed')}), 0)::float8`,
      failing: sql<number>`(count(*) FILTER (WHERE ${figure('failed')} > 0))::int`,
      oldestSecondsAgo: sql<
        number | null
      >`max(floor(${figure('seconds_ago')} + greatest(${sinceBeat}, 0)))::float8`,
    })
    .from(workspaces)
    .where(and(isAwake, sql`${told} IS NOT NULL`))
  return rows[0] ?? { workspaces: 0, removed: 0, failing: 0, oldestSecondsAgo: null }
}

/** Workspaces that should beat and have not since `before`; external ones or all others. */
export async function listSilent(
  db: Db,
  input: { readonly before: Date; readonly isExternal: boolean; readonly after: After },
): Promise<readonly WorkspaceRow[]> {
  const lastSeen = sql`coalesce(${workspaces.lastHeartbeatAt}, ${workspaces.updatedAt})`
  return db
    .select()
    .from(workspaces)
    .where(
      and(
        isAwake,
        input.isExternal ? isExternalRow : isInternalRow,
        sql`${lastSeen} < ${input.before.toISOString()}::timestamptz`,
        follows(input.after),
      ),
    )
    .orderBy(asc(workspaces.id))
    .limit(BATCH)
}

/** Starts that have not come up since `before`. */
export async function listStuckStarts(
  db: Db,
  input: { readonly before: Date; readonly after: After },
): Promise<readonly WorkspaceRow[]> {
  return db
    .select()
    .from(workspaces)
    .where(
      and(
        eq(workspaces.status, 'provisioning'),
        isInternalRow,
        lt(workspaces.statusSince, input.before),
        follows(input.after),
      ),
    )
    .orderBy(asc(workspaces.id))
    .limit(BATCH)
}

/** Awake workspaces that want to sleep after some idle minutes and have been idle for longer. */
export async function listIdle(
  db: Db,
  input: { readonly now: Date; readonly after: After },
): Promise<readonly WorkspaceRow[]> {
  const idleSince = sql`greatest(${workspaces.lastActivityAt}, ${workspaces.statusSince})`
  const limit = sql`${workspaces.hibernationIdleMinutes} * interval '1 minute'`
  return db
    .select()
    .from(workspaces)
    .where(
      and(
        isAwake,
        isInternalRow,
        isNotNull(workspaces.hibernationIdleMinutes),
        eq(workspaces.activeTasks, 0),
        sql`${idleSince} < ${input.now.toISOString()}::timestamptz - ${limit}`,
        follows(input.after),
      ),
    )
    .orderBy(asc(workspaces.id))
    .limit(BATCH)
}

/** Rows of boxes that this back-end should be running, on this machine or on none. */
export async function listExpectedBoxes(
  db: Db,
  input: { readonly backEnd: string; readonly hostId: string | null },
): Promise<readonly WorkspaceRow[]> {
  return db
    .select()
    .from(workspaces)
    .where(
      and(
        inArray(workspaces.status, ['online', 'degraded', 'provisioning']),
        eq(workspaces.backEnd, input.backEnd),
        input.hostId === null ? isNull(workspaces.hostId) : eq(workspaces.hostId, input.hostId),
        isNotNull(workspaces.boxStartedAt),
        isNotNull(workspaces.boxGeneration),
      ),
    )
}

/** Which of these ids have a row, and whether it is live. */
export async function findRowsOf(
  db: Db,
  ids: readonly string[],
): Promise<ReadonlyMap<string, { readonly isLive: boolean; readonly hostId: string | null }>> {
  if (ids.length === 0) return new Map()
  const rows = await db
    .select({ id: workspaces.id, isLive: sql<boolean>`${whereLive}`, hostId: workspaces.hostId })
    .from(workspaces)
    .where(inArray(workspaces.id, [...ids]))
  return new Map(rows.map(({ id, ...facts }) => [id, facts]))
}

/**
 * Rows whose status asks for something that nobody has been asked to do: left by an older release,
 * by a repair by hand, or by a box that ended while its agent spoke. `lifecycleGoal` has the last word.
 */
export async function listUnattended(db: Db, after: After): Promise<readonly WorkspaceRow[]> {
  const rows = await db
    .select({ workspace: workspaces })
    .from(workspaces)
    .leftJoin(lifecycleRuns, eq(lifecycleRuns.workspaceId, workspaces.id))
    .where(
      and(
        isNull(lifecycleRuns.workspaceId),
        isInternalRow,
        or(
          and(
            inArray(workspaces.status, ['provisioning', 'offline', 'hibernating']),
            or(isNull(workspaces.boxStartedAt), eq(workspaces.status, 'offline')),
          ),
          and(
            inArray(workspaces.status, ['paused', 'failed', 'hibernated', 'removed']),
            isNotNull(workspaces.boxGeneration),
          ),
          and(isAwake, gt(workspaces.generation, 0), isNull(workspaces.boxGeneration)),
        ),
        follows(after),
      ),
    )
    .orderBy(asc(workspaces.id))
    .limit(BATCH)
  return rows.map(({ workspace }) => workspace)
}
