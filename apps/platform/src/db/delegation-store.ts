/** @module Delegations: each has one status, and comes to one end (contract/platform 4.10). */
import { and, desc, eq, lt, notInArray, sql } from 'drizzle-orm'
import { firstCharacters } from '../domain/activity.ts'
import type { Delegation, DelegationEnd, DelegationStatus } from '../domain/delegation.ts'
import { PREVIEW_CHARACTERS } from '../domain/delegation.ts'
import type { Delivery } from '../domain/delivery.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { deleteOldRows, type OldRows } from './delete-old-rows.ts'
import { findDelivery } from './delivery-store.ts'
import { delegations } from './schema.ts'

const ENDS = ['completed', 'failed'] as const
const isOpen = notInArray(delegations.status, [...ENDS])

type Row = typeof delegations.$inferSelect

function delegationOf(row: Row): Delegation {
  return {
    ...row,
    workspaceId: workspaceIdSchema.parse(row.workspaceId),
    targetId: workspaceIdSchema.parse(row.targetId),
  }
}

export type NewDelegation = Pick<
  Delegation,
  'id' | 'workspaceId' | 'targetId' | 'task' | 'isRecorded'
> & { readonly idempotencyKey: string | null; readonly now: Date }

/** A key counts for a day: the same words to the same peer are another wish tomorrow. */
const KEY_MS = 24 * 60 * 60_000

/** The delegation, or the one that has its key, or its id; undefined when that is another's. */
export async function insertDelegation(
  tx: Db,
  fresh: NewDelegation,
): Promise<{ readonly delegation: Delegation; readonly isNew: boolean } | undefined> {
  const { idempotencyKey, now, ...columns } = fresh
  const withKey = and(
    eq(delegations.workspaceId, fresh.workspaceId),
    eq(delegations.idempotencyKey, idempotencyKey ?? ''),
  )
  if (idempotencyKey !== null) {
    const expired = lt(delegations.createdAt, new Date(now.getTime() - KEY_MS))
    await tx.update(delegations).set({ idempotencyKey: null }).where(and(withKey, expired))
  }
  const inserted = await tx
    .insert(delegations)
    .values({ ...columns, idempotencyKey, status: 'pending', createdAt: now, updatedAt: now })
    .onConflictDoNothing()
    .returning()
  const [row] = inserted
  if (row !== undefined) return { delegation: delegationOf(row), isNew: true }
  const same = idempotencyKey === null ? eq(delegations.id, fresh.id) : withKey
  const [known] = await tx
    .select()
    .from(delegations)
    .where(and(same, eq(delegations.workspaceId, fresh.workspaceId)))
  return known && { delegation: delegationOf(known), isNew: false }
}

export async function findDelegation(
  db: Db,
  of: { readonly id: string; readonly workspaceId: WorkspaceId },
): Promise<Delegation | undefined> {
  const rows = await db
    .select()
    .from(delegations)
    .where(and(eq(delegations.id, of.id), eq(delegations.workspaceId, of.workspaceId)))
  return rows.map(delegationOf)[0]
}

/** The newest first. */
export async function listDelegations(
  db: Db,
  workspaceId: WorkspaceId,
  limit: number,
): Promise<Delegation[]> {
  const rows = await db
    .select()
    .from(delegations)
    .where(eq(delegations.workspaceId, workspaceId))
    .orderBy(desc(delegations.createdAt), desc(delegations.id))
    .limit(limit)
  return rows.map(delegationOf)
}

/** Moves an open one on; false when it is over, or not in a status of `from`. */
export async function moveDelegation(
  db: Db,
  move: {
    readonly id: string
    readonly to: DelegationStatus
    readonly from?: DelegationStatus
    readonly now: Date
  },
): Promise<boolean> {
  const rows = await db
    .update(delegations)
    .set({ status: move.to, updatedAt: move.now })
    .where(
      and(
        eq(delegations.id, move.id),
        isOpen,
        move.from === undefined ? undefined : eq(delegations.status, move.from),
      ),
    )
    .returning({ id: delegations.id })
  return rows.length === 1
}

/** Ends an open one; undefined when it is over already. One that failed may be asked for again. */
export async function endDelegation(
  tx: Db,
  ending: { readonly id: string; readonly end: DelegationEnd; readonly now: Date },
): Promise<Delegation | undefined> {
  const { end, now } = ending
  const outcome =
    end.status === 'completed'
      ? { responsePreview: firstCharacters(end.text, PREVIEW_CHARACTERS), error: null }
      : { error: end.error, idempotencyKey: null }
  const rows = await tx
    .update(delegations)
    .set({ status: end.status, updatedAt: now, ...outcome })
    .where(and(eq(delegations.id, ending.id), isOpen))
    .returning()
  return rows.map(delegationOf)[0]
}

/** The message of a delegation, as its own workspace sent it to its own target: the newest. */
export async function findDeliveryOfDelegation(
  db: Db,
  delegation: Delegation,
): Promise<Delivery | undefined> {
  const [row] = await db.execute<{ id: string }>(sql`
    SELECT id FROM a2a_deliveries
     WHERE delegation_id = ${delegation.id} AND workspace_id = ${delegation.targetId}
       AND sender_workspace_id = ${delegation.workspaceId}
     ORDER BY seq DESC LIMIT 1`)
  return row === undefined ? undefined : await findDelivery(db, row.id)
}

/** What is open, others each time when there is too much of it; of one workspace or of all. */
export async function openDelegations(
  db: Db,
  open: { readonly workspaceId?: WorkspaceId; readonly limit: number },
): Promise<Delegation[]> {
  const ofWorkspace =
    open.workspaceId === undefined ? undefined : eq(delegations.workspaceId, open.workspaceId)
  const rows = await db
    .select()
    .from(delegations)
    .where(and(isOpen, ofWorkspace))
    .orderBy(sql`random()`)
    .limit(open.limit)
  return rows.map(delegationOf)
}

/** Deletes at most `limit` that were made before `before`; returns how many. */
export function deleteDelegationsBefore(db: Db, old: OldRows): Promise<number> {
  const { id, createdAt: at } = delegations
  return deleteOldRows(db, { table: delegations, id, at }, old)
}
