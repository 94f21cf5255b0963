/**
 * @module Notifications on their way to callers' webhooks: written with the event that they tell of,
 * and to each webhook in the order of the events.
 */
import { and, eq, sql } from 'drizzle-orm'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import type { AgentDialect } from '../domain/task-stream.ts'
import type { Db, Sql } from './client.ts'
import { a2aPushOutbox } from './schema.ts'

/** Says that there is something to be told. */
export const PUSH_CHANNEL = 'atrium_push'

export type ClaimedPush = {
  readonly id: number
  readonly fence: string
  readonly workspaceId: WorkspaceId
  readonly taskId: string
  readonly configId: string
  /** The JSON-RPC reply of the agent. */
  readonly event: Buffer
  readonly dialect: AgentDialect
  readonly attempts: number
}

type ClaimedRow = {
  readonly id: string
  readonly fence: string
  readonly workspace_id: string
  readonly task_id: string
  readonly config_id: string
  readonly event: Buffer
  readonly dialect: AgentDialect
  readonly attempts: number
}

export type PushClaim = {
  readonly replicaId: string
  readonly leaseMs: number
  readonly limit: number
  /** So many of one workspace may be under way here at a time. */
  readonly share: number
  /** How many are. */
  readonly under: ReadonlyMap<WorkspaceId, number>
}

/**
 * Claims what is due, of each webhook the oldest only: nothing overtakes it. Of each workspace as many
 * as its share allows, and first of whose has the fewest under way: one that lets everybody wait has no
 * more of them than others.
 */
export async function claimPushes(query: Sql, claim: PushClaim): Promise<ClaimedPush[]> {
  const rows = await query<ClaimedRow[]>`
    WITH under AS (
      SELECT * FROM unnest(${[...claim.under.keys()]}::uuid[], ${[...claim.under.values()]}::integer[])
        AS u (workspace_id, calls)
    ), head AS (
      -- Sorted once: to look for an older one of every row is quadratic in what waits for a webhook.
      SELECT DISTINCT ON (workspace_id, task_id, config_id)
             id, workspace_id, next_attempt_at, lease_until
        FROM a2a_push_outbox ORDER BY workspace_id, task_id, config_id, id
    ), line AS (
      SELECT h.id, coalesce(u.calls, 0)
               + row_number() OVER (PARTITION BY h.workspace_id ORDER BY h.id) AS place
        FROM head h LEFT JOIN under u ON u.workspace_id = h.workspace_id
       WHERE h.next_attempt_at <= now() AND (h.lease_until IS NULL OR h.lease_until < now())
    ), due AS (
      SELECT o.id FROM a2a_push_outbox o JOIN line ON line.id = o.id
       WHERE line.place <= ${claim.share}
         -- Again for the row as it is once its lock is had: another replica may have claimed it.
         AND o.next_attempt_at <= now() AND (o.lease_until IS NULL OR o.lease_until < now())
       ORDER BY line.place, o.id LIMIT ${claim.limit} FOR UPDATE OF o SKIP LOCKED)
    UPDATE a2a_push_outbox o SET lease_owner = ${claim.replicaId},
           lease_until = now() + ${claim.leaseMs} * interval '1 millisecond',
           fence = nextval('a2a_fence'), attempts = attempts + 1
      FROM due WHERE o.id = due.id
    RETURNING o.id, o.fence::text, o.workspace_id, o.task_id, o.config_id, o.event, o.dialect,
              o.attempts`
  return rows.map((row) => ({
    id: Number(row.id),
    fence: row.fence,
    workspaceId: workspaceIdSchema.parse(row.workspace_id),
    taskId: row.task_id,
    configId: row.config_id,
    event: row.event,
    dialect: row.dialect,
    attempts: row.attempts,
  }))
}

function held(push: ClaimedPush) {
  return and(eq(a2aPushOutbox.id, push.id), eq(a2aPushOutbox.fence, Number(push.fence)))
}

/** Told, or given up; false when another replica has taken it over. */
export async function removePush(db: Db, push: ClaimedPush): Promise<boolean> {
  const rows = await db.delete(a2aPushOutbox).where(held(push)).returning({ id: a2aPushOutbox.id })
  return rows.length === 1
}

/** To be told again after a while; false when another replica has taken it over. */
export async function postponePush(db: Db, push: ClaimedPush, delayMs: number): Promise<boolean> {
  const rows = await db
    .update(a2aPushOutbox)
    .set({
      leaseOwner: null,
      leaseUntil: null,
      nextAttemptAt: sql`now() + ${delayMs} * interval '1 millisecond'`,
    })
    .where(held(push))
    .returning({ id: a2aPushOutbox.id })
  return rows.length === 1
}
