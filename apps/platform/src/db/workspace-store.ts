/** @module Rows of `workspaces`. `transitionWorkspace` is the only writer of `status` (H22). */
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import {
  and,
  asc,
  eq,
  getTableColumns,
  inArray,
  lt,
  ne,
  type Placeholder,
  type SQL,
  sql,
} from 'drizzle-orm'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { type EventPayload, eventOfStatus } from '../domain/workspace-events.ts'
import { sourcesOf, type WorkspaceStatus } from '../domain/workspace-status.ts'
import { type Db, inTransaction } from './client.ts'
import { tellOfRoom } from './delivery-store.ts'
import { appendEvent } from './event-store.ts'
import { isAnyOf, preparedQuery } from './prepared-query.ts'
import { type WorkspaceRow, workspaces } from './schema.ts'
import { sharedLookup } from './shared-lookup.ts'

/** The only predicate for "not removed". */
export const whereLive = ne(workspaces.status, 'removed')

/** The only expression for "it was used at `now`", a time: never earlier than it was used already. */
export function lastActivityAt(now: Placeholder) {
  return sql`greatest(${workspaces.lastActivityAt}, ${now}::timestamptz)`
}

export type NewWorkspace = typeof workspaces.$inferInsert

/**
 * Inserts a row in its first status, with the event of it, which says `payload`. Throws on a foreign
 * key that does not exist.
 */
export async function insertWorkspace(
  db: Db,
  row: NewWorkspace,
  payload?: EventPayload,
): Promise<void> {
  await inTransaction(db, async (tx) => {
    await tx.insert(workspaces).values(row)
    await tellOfStatus(tx, row, { payload, now: row.createdAt })
  })
}

/** The same, unless the id is taken: of two at once one inserts, and neither fails. */
export async function insertWorkspaceIfAbsent(db: Db, row: NewWorkspace): Promise<void> {
  await inTransaction(db, async (tx) => {
    const inserted = await tx
      .insert(workspaces)
      .values(row)
      .onConflictDoNothing({ target: workspaces.id })
      .returning({ id: workspaces.id })
    if (inserted.length === 1) await tellOfStatus(tx, row, { now: row.createdAt })
  })
}

async function tellOfStatus(
  tx: Db,
  row: Pick<NewWorkspace, 'id' | 'status' | 'statusReason'>,
  { payload, now }: { readonly payload?: EventPayload | undefined; readonly now: Date },
): Promise<void> {
  const { status, statusReason: reason = null } = row
  const event = eventOfStatus({ status, reason, payload })
  if (event === undefined) return
  await appendEvent(tx, { event, workspaceId: workspaceIdSchema.parse(row.id), now })
}

const liveWorkspacesById = preparedQuery((db) =>
  db
    .select()
    .from(workspaces)
    .where(and(isAnyOf(workspaces.id, 'ids'), whereLive))
    .prepare('live_workspaces_by_id'),
)

const liveWorkspaceById = sharedLookup<WorkspaceRow>(async (db, ids) => {
  const rows = await liveWorkspacesById(db).execute({ ids })
  return new Map(rows.map((row) => [row.id, row]))
})

/** The live row, or undefined for an unknown or removed workspace alike. */
export async function findLiveWorkspace(
  db: Db,
  id: WorkspaceId,
): Promise<WorkspaceRow | undefined> {
  return await liveWorkspaceById(db, id)
}

/**
 * The live row, locked until the end of the transaction `tx`. Against writers, not against the keys
 * of others: a child that is written twice in a transaction looks its parent's key up again, and
 * would wait for whoever holds the parent and wants the child.
 */
export async function lockLiveWorkspace(
  tx: Db,
  id: WorkspaceId,
): Promise<WorkspaceRow | undefined> {
  const rows = await tx
    .select()
    .from(workspaces)
    .where(and(eq(workspaces.id, id), whereLive))
    .for('no key update')
  return rows[0]
}

/** The row whatever its status; only for code that must tell removed from unknown. */
export async function findWorkspace(db: Db, id: WorkspaceId): Promise<WorkspaceRow | undefined> {
  const rows = await db.select().from(workspaces).where(eq(workspaces.id, id))
  return rows[0]
}

export async function listLiveWorkspaces(db: Db): Promise<WorkspaceRow[]> {
  return db
    .select()
    .from(workspaces)
    .where(whereLive)
    .orderBy(asc(workspaces.createdAt), asc(workspaces.id))
}

/** Columns that may be written together with a status change. */
export type StatusChange = Partial<
  Pick<
    NewWorkspace,
    | 'statusReason'
    | 'lastSampleError'
    | 'endpointUrl'
    | 'agentUrl'
    | 'agentCard'
    | 'deliveryMode'
    | 'lastHeartbeatAt'
    | 'activeTasks'
    | 'currentTask'
    | 'boxStartedAt'
    | 'boxAddress'
    | 'template'
    | 'isTemplateDue'
  >
> & {
  /** Takes the next generation: a new start begins. */
  readonly raiseGeneration?: boolean
}

export type StatusMove = {
  readonly id: WorkspaceId
  readonly to: WorkspaceStatus
  readonly from?: readonly WorkspaceStatus[]
  readonly generation?: number
  /** Only while its last beat is this one: who has beaten since is not silent. */
  readonly heardOfBefore?: Date | null
  /** Only when it has been in its status since before this moment. */
  readonly sameStatusBefore?: Date
  readonly now: Date
  readonly set?: StatusChange
  /** What the event of the move says; otherwise it gives the reason (`domain/workspace-events.ts`). */
  readonly event?: EventPayload
}

/**
 * Moves a workspace to `to` when the transition table allows it from where it is, and, with
 * `from` or `generation`, only from there. Returns the row after the move, or undefined when it
 * did not move; concurrent callers see exactly one winner. The event is of the same transaction,
 * and only of a status that became another one.
 */
export async function transitionWorkspace(
  db: Db,
  move: StatusMove,
): Promise<WorkspaceRow | undefined> {
  const allowed = sourcesOf(move.to).filter((status) => move.from?.includes(status) ?? true)
  if (allowed.length === 0) return undefined
  return await inTransaction(db, async (tx) => {
    const moved = await writeStatus(tx, move, allowed)
    if (moved === undefined) return undefined
    const { statusBefore, ...row } = moved
    if (statusBefore !== row.status) {
      await tellOfStatus(tx, row, { payload: move.event, now: move.now })
      if (row.status === 'online') await tellOfRoom(tx, row.id)
    }
    return row
  })
}

async function writeStatus(
  tx: Db,
  move: StatusMove,
  allowed: readonly WorkspaceStatus[],
): Promise<(WorkspaceRow & { readonly statusBefore: WorkspaceStatus }) | undefined> {
  const { raiseGeneration, ...columns } = move.set ?? {}
  const before = tx
    .select({ id: workspaces.id, status: workspaces.status })
    .from(workspaces)
    .where(eq(workspaces.id, move.id))
    .for('no key update')
    .as('before')
  const rows = await tx
    .update(workspaces)
    .set({
      statusReason: null,
      ...columns,
      // What the agent of an older box said about its address is not true of the next one.
      ...(raiseGeneration === true
        ? { generation: sql`${workspaces.generation} + 1`, agentUrl: null }
        : {}),
      status: move.to,
      // A move to where it is already begins nothing new, except a start.
      statusSince: sql`CASE WHEN ${workspaces.status} = ${move.to} AND ${raiseGeneration !== true}
        THEN ${workspaces.statusSince} ELSE ${move.now.toISOString()}::timestamptz END`,
      updatedAt: move.now,
    })
    .from(before)
    .where(
      and(
        eq(workspaces.id, before.id),
        inArray(workspaces.status, [...allowed]),
        ...conditionsOf(move),
      ),
    )
    .returning({ ...getTableColumns(workspaces), statusBefore: before.status })
  return rows[0]
}

function conditionsOf(move: StatusMove): (SQL | undefined)[] {
  const { generation, heardOfBefore, sameStatusBefore } = move
  return [
    generation === undefined ? undefined : eq(workspaces.generation, generation),
    heardOfBefore === undefined
      ? undefined
      : // To the millisecond, which is all that a Date knows of it.
        sql`date_trunc('milliseconds', ${workspaces.lastHeartbeatAt})
            IS NOT DISTINCT FROM ${heardOfBefore?.toISOString() ?? null}::timestamptz`,
    sameStatusBefore === undefined ? undefined : lt(workspaces.statusSince, sameStatusBefore),
  ]
}

/** Remembers when a workspace's boxes died (`domain/restart-budget.ts` says how many are kept). */
export async function recordDeaths(
  db: Db,
  input: { readonly id: WorkspaceId; readonly deaths: readonly Date[] },
): Promise<void> {
  await db
    .update(workspaces)
    .set({ deaths: [...input.deaths] })
    .where(eq(workspaces.id, input.id))
}

/** What a registration stores besides the status. */
export type RegistrationFacts = {
  readonly agentCard: unknown
  readonly deliveryMode: DeliveryMode
  /** undefined keeps what is stored. */
  readonly agentUrl: string | undefined
  /** Only where the box's address vouches for it; undefined keeps what is stored. */
  readonly endpointUrl: string | undefined
}

/** Stores a registration of a live row without touching its status; false when there is no row. */
export async function recordRegistration(
  db: Db,
  input: { readonly id: WorkspaceId; readonly facts: RegistrationFacts; readonly now: Date },
): Promise<boolean> {
  const rows = await db
    .update(workspaces)
    .set({
      agentCard: input.facts.agentCard,
      deliveryMode: input.facts.deliveryMode,
      ...(input.facts.agentUrl === undefined ? {} : { agentUrl: input.facts.agentUrl }),
      ...(input.facts.endpointUrl === undefined ? {} : { endpointUrl: input.facts.endpointUrl }),
      lastHeartbeatAt: input.now,
      updatedAt: input.now,
    })
    .where(and(eq(workspaces.id, input.id), whereLive))
    .returning({ id: workspaces.id })
  return rows.length === 1
}

/** Stores the card of a live row; false when there is none. */
export async function recordCard(
  db: Db,
  input: { readonly id: WorkspaceId; readonly agentCard: unknown; readonly now: Date },
): Promise<boolean> {
  const rows = await db
    .update(workspaces)
    .set({ agentCard: input.agentCard, updatedAt: input.now })
    .where(and(eq(workspaces.id, input.id), whereLive))
    .returning({ id: workspaces.id })
  return rows.length === 1
}

const useOfWorkspace = preparedQuery((db) => {
  const outboundAt = sql`${sql.placeholder('outboundAt')}::timestamptz`
  return db
    .update(workspaces)
    .set({
      lastActivityAt: lastActivityAt(sql.placeholder('now')),
      lastOutboundAt: sql`coalesce(${outboundAt}, ${workspaces.lastOutboundAt})`,
    })
    .where(and(eq(workspaces.id, sql.placeholder('id')), whereLive))
    .prepare('use_of_workspace')
})

/** Notes that a workspace was used; `isOutbound` that it was the one who spoke. */
export async function recordUse(
  db: Db,
  input: { readonly id: WorkspaceId; readonly now: Date; readonly isOutbound?: boolean },
): Promise<void> {
  const now = input.now.toISOString()
  const outboundAt = input.isOutbound === true ? now : null
  await useOfWorkspace(db).execute({ id: input.id, now, outboundAt })
}

/** All live descendants, children first by depth; cycle-safe (contract/platform 7.7). */
export async function listLiveDescendants(
  db: Db,
  id: WorkspaceId,
): Promise<{ readonly id: string; readonly name: string; readonly depth: number }[]> {
  const rows = await db.execute<{ id: string; name: string; depth: number }>(sql`
    WITH RECURSIVE tree (id, name, depth, path) AS (
      SELECT w.id, w.name, 1, ARRAY[w.parent_id, w.id]
        FROM workspaces w WHERE w.parent_id = ${id} AND w.status <> 'removed'
      UNION ALL
      SELECT w.id, w.name, t.depth + 1, t.path || w.id
        FROM workspaces w JOIN tree t ON w.parent_id = t.id
       WHERE w.status <> 'removed' AND NOT w.id = ANY (t.path)
    )
    SELECT id, name, depth FROM tree ORDER BY depth, id`)
  return [...rows]
}

/** The workspaces directly below one, removed ones too: an interrupted removal may have left boxes. */
export async function listChildren(
  db: Db,
  id: WorkspaceId,
): Promise<{ readonly id: WorkspaceId; readonly isLive: boolean }[]> {
  const rows = await db
    .select({ id: workspaces.id, isLive: sql<boolean>`${whereLive}` })
    .from(workspaces)
    .where(eq(workspaces.parentId, id))
    .orderBy(asc(workspaces.id))
  return rows.map((row) => ({ id: workspaceIdSchema.parse(row.id), isLive: row.isLive }))
}

/** What is directly below a workspace and not removed, the oldest first. */
export async function listLiveChildren(
  db: Db,
  id: WorkspaceId,
): Promise<{ readonly id: WorkspaceId; readonly name: string; readonly role: string | null }[]> {
  const rows = await db
    .select({ id: workspaces.id, name: workspaces.name, role: workspaces.role })
    .from(workspaces)
    .where(and(eq(workspaces.parentId, id), whereLive))
    .orderBy(asc(workspaces.createdAt), asc(workspaces.id))
  return rows.map((row) => ({ ...row, id: workspaceIdSchema.parse(row.id) }))
}

/** Hard-deletes removed rows; dependants go by cascade. Returns how many. */
export async function purgeRemovedWorkspaces(db: Db, ids: readonly WorkspaceId[]): Promise<number> {
  // A descendant that was removed earlier still points at its parent: let it go first.
  await db
    .update(workspaces)
    .set({ parentId: null })
    .where(inArray(workspaces.parentId, [...ids]))
  const rows = await db
    .delete(workspaces)
    .where(and(inArray(workspaces.id, [...ids]), eq(workspaces.status, 'removed')))
    .returning({ id: workspaces.id })
  return rows.length
}
