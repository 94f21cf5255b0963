/** @module The inbound secret in a workspace's row: envelopes, and how far a rotation has come. */
import { and, asc, eq, inArray, isNotNull, isNull, lt, or, sql } from 'drizzle-orm'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { type WorkspaceRow, workspaces } from './schema.ts'
import { findLiveWorkspace, whereLive } from './workspace-store.ts'

/** A secret that is to take the place of whatever is there. */
type Minted = { readonly id: WorkspaceId; readonly envelope: string; readonly now: Date }

function mintedColumns({ envelope, now }: Minted) {
  return {
    inboundSecretCurrent: envelope,
    inboundSecretPrevious: null,
    inboundSecretMintedAt: now,
    inboundSecretDeliveredAt: null,
    inboundSecretAcknowledgedAt: null,
  }
}

/**
 * Stores an inbound secret where there is none and returns the envelope that is then in force:
 * of two callers that mint at once one wins, and both learn the winner's (wart W26).
 */
export async function storeInboundSecretIfAbsent(
  db: Db,
  input: { readonly id: WorkspaceId; readonly envelope: string; readonly now: Date },
): Promise<{ readonly envelope: string; readonly wasStored: boolean } | undefined> {
  const stored = await db
    .update(workspaces)
    .set(mintedColumns(input))
    .where(and(eq(workspaces.id, input.id), isNull(workspaces.inboundSecretCurrent), whereLive))
    .returning({ id: workspaces.id })
  if (stored.length === 1) return { envelope: input.envelope, wasStored: true }
  const row = await findLiveWorkspace(db, input.id)
  return row?.inboundSecretCurrent == null
    ? undefined
    : { envelope: row.inboundSecretCurrent, wasStored: false }
}

/** Replaces the inbound secret at a start: the old box is gone, so nothing needs the old one. */
export async function replaceInboundSecret(
  db: Db,
  input: {
    readonly id: WorkspaceId
    readonly generation: number
    readonly envelope: string
    readonly now: Date
  },
): Promise<boolean> {
  const rows = await db
    .update(workspaces)
    // The box is started with it in its hand.
    .set({ ...mintedColumns(input), inboundSecretDeliveredAt: input.now })
    .where(and(eq(workspaces.id, input.id), eq(workspaces.generation, input.generation), whereLive))
    .returning({ id: workspaces.id })
  return rows.length === 1
}

/**
 * Begins a rotation: the current secret becomes the previous one, and the workspace is still to be
 * told of the new one. A rotation that was told before `overdueBefore` has had its time. Returns the
 * row, or undefined when there is none or its rotation is still under way.
 */
export async function beginRotation(
  db: Db,
  input: Minted & { readonly overdueBefore: Date },
): Promise<WorkspaceRow | undefined> {
  const rows = await db
    .update(workspaces)
    .set({ ...mintedColumns(input), inboundSecretPrevious: workspaces.inboundSecretCurrent })
    .where(
      and(
        eq(workspaces.id, input.id),
        whereLive,
        or(
          isNull(workspaces.inboundSecretPrevious),
          lt(workspaces.inboundSecretDeliveredAt, input.overdueBefore),
        ),
      ),
    )
    .returning()
  return rows[0]
}

/** One row as it was read: what is noted about its secret counts only while that is the current. */
type Held = { readonly id: WorkspaceId; readonly envelope: string; readonly now: Date }

const whereHeld = ({ id, envelope }: Pick<Held, 'id' | 'envelope'>) =>
  and(eq(workspaces.id, id), eq(workspaces.inboundSecretCurrent, envelope), whereLive)

/** The workspace was handed the current secret; with `isBelieved`, that has to do for a proof. */
export async function noteDelivery(
  db: Db,
  input: Held & { readonly isBelieved: boolean },
): Promise<void> {
  const at = input.now.toISOString()
  await db
    .update(workspaces)
    .set({
      inboundSecretDeliveredAt: sql`coalesce(${workspaces.inboundSecretDeliveredAt}, ${at})`,
      ...(input.isBelieved
        ? {
            inboundSecretAcknowledgedAt: sql`coalesce(${workspaces.inboundSecretAcknowledgedAt}, ${at})`,
          }
        : {}),
    })
    .where(whereHeld(input))
}

/** The workspace has shown that it was not handed the current secret after all. */
export async function takeDeliveryBack(
  db: Db,
  input: Pick<Held, 'id' | 'envelope'>,
): Promise<void> {
  await db
    .update(workspaces)
    .set({ inboundSecretDeliveredAt: null, inboundSecretAcknowledgedAt: null })
    .where(and(whereHeld(input), isNotNull(workspaces.inboundSecretPrevious)))
}

/** The workspace has proved the current secret. True when that ended a rotation. */
export async function acknowledgeSecret(db: Db, input: Held): Promise<boolean> {
  const acknowledged = {
    inboundSecretDeliveredAt: sql`coalesce(${workspaces.inboundSecretDeliveredAt}, ${input.now.toISOString()})`,
    inboundSecretAcknowledgedAt: input.now,
  }
  const ended = await db
    .update(workspaces)
    .set({ ...acknowledged, inboundSecretPrevious: null })
    .where(and(whereHeld(input), isNotNull(workspaces.inboundSecretPrevious)))
    .returning({ id: workspaces.id })
  if (ended.length === 1) return true
  await db.update(workspaces).set(acknowledged).where(whereHeld(input))
  return false
}

/**
 * Ends rotations whose workspace was told before `overdueBefore` and has proved nothing. At most
 * `limit`; rows that somebody else is at are left to them. Returns which.
 */
export async function retireOverdue(
  db: Db,
  input: { readonly overdueBefore: Date; readonly limit: number },
): Promise<WorkspaceId[]> {
  const overdue = db
    .select({ id: workspaces.id })
    .from(workspaces)
    .where(
      and(
        isNotNull(workspaces.inboundSecretPrevious),
        lt(workspaces.inboundSecretDeliveredAt, input.overdueBefore),
        whereLive,
      ),
    )
    .limit(input.limit)
    .for('update', { skipLocked: true })
  const rows = await db
    .update(workspaces)
    .set({ inboundSecretPrevious: null })
    .where(inArray(workspaces.id, overdue))
    .returning({ id: workspaces.id })
  return rows.map((row) => workspaceIdSchema.parse(row.id))
}

/**
 * Locks workspaces that are there, have proved their secret, and got it before `mintedBefore`: the
 * oldest first, at most `limit`, none that somebody else is at.
 */
export async function lockAgedSecrets(
  tx: Db,
  input: { readonly mintedBefore: Date; readonly limit: number },
): Promise<WorkspaceId[]> {
  const rows = await tx
    .select({ id: workspaces.id })
    .from(workspaces)
    .where(
      and(
        inArray(workspaces.status, ['online', 'degraded']),
        isNull(workspaces.inboundSecretPrevious),
        isNotNull(workspaces.inboundSecretAcknowledgedAt),
        lt(workspaces.inboundSecretMintedAt, input.mintedBefore),
      ),
    )
    .orderBy(asc(workspaces.inboundSecretMintedAt))
    .limit(input.limit)
    .for('update', { skipLocked: true })
  return rows.map((row) => workspaceIdSchema.parse(row.id))
}
