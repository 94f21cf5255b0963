/** @module The processes that run this platform, by their beats. */
import { and, eq, gt, lt } from 'drizzle-orm'
import type { Db } from './client.ts'
import { replicas } from './schema.ts'

/** How often a replica says that it is there. */
export const REPLICA_BEAT_MS = 10_000
/** Silent for so long, a replica is gone. */
export const REPLICA_STALE_MS = 60_000
/** Rows of replicas that ended without a word are kept so long, for people who look. */
const FORGET_AFTER_MS = 24 * 60 * 60_000

export type Replica = {
  readonly id: string
  readonly hostId: string | null
  readonly version: string
  readonly startedAt: Date
}

/** Notes that the replica is there, and forgets those that have long been gone. */
export async function beatReplica(db: Db, replica: Replica, now: Date): Promise<void> {
  await db
    .insert(replicas)
    .values({ ...replica, lastBeatAt: now })
    .onConflictDoUpdate({ target: replicas.id, set: { lastBeatAt: now, hostId: replica.hostId } })
  await db
    .delete(replicas)
    .where(lt(replicas.lastBeatAt, new Date(now.getTime() - FORGET_AFTER_MS)))
}

export async function removeReplica(db: Db, id: string): Promise<void> {
  await db.delete(replicas).where(eq(replicas.id, id))
}

export async function listReplicas(db: Db): Promise<(Replica & { readonly lastBeatAt: Date })[]> {
  return db.select().from(replicas).orderBy(replicas.startedAt)
}

/** Whether the platform that holds this machine's boxes has been heard of lately. */
export async function isHostAlive(
  db: Db,
  input: { readonly hostId: string; readonly now: Date },
): Promise<boolean> {
  const since = new Date(input.now.getTime() - REPLICA_STALE_MS)
  const rows = await db
    .select({ id: replicas.id })
    .from(replicas)
    .where(and(eq(replicas.hostId, input.hostId), gt(replicas.lastBeatAt, since)))
    .limit(1)
  return rows.length === 1
}
