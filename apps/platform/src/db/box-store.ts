/** @module What is known of a workspace's box: which generation, held by whom, reached where. */
import { and, eq } from 'drizzle-orm'
import type { WorkspaceId } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { type WorkspaceRow, workspaces } from './schema.ts'

type Target = { readonly id: WorkspaceId; readonly generation: number }

/** Notes that a box of this generation may exist from now on, and who holds it. */
export async function recordBoxIntent(
  db: Db,
  input: Target & { readonly hostId: string | null; readonly backEnd: string },
): Promise<boolean> {
  const rows = await db
    .update(workspaces)
    .set({
      boxGeneration: input.generation,
      hostId: input.hostId,
      backEnd: input.backEnd,
      instanceId: null,
      boxAddress: null,
      boxStartedAt: null,
      isolation: null,
    })
    .where(and(eq(workspaces.id, input.id), eq(workspaces.generation, input.generation)))
    .returning({ id: workspaces.id })
  return rows.length === 1
}

export type BoxFacts = {
  readonly endpointUrl: string | null
  readonly address: string | null
  readonly instanceId: string | null
  readonly isolation: WorkspaceRow['isolation']
}

/** Notes what the back-end said of the box it started, while it still is the newest. */
export async function recordBox(
  db: Db,
  input: Target & { readonly box: BoxFacts; readonly now: Date },
): Promise<WorkspaceRow | undefined> {
  const rows = await db
    .update(workspaces)
    .set({
      endpointUrl: input.box.endpointUrl,
      boxAddress: input.box.address,
      instanceId: input.box.instanceId,
      isolation: input.box.isolation,
      boxStartedAt: input.now,
      isTemplateDue: false,
      updatedAt: input.now,
    })
    .where(and(eq(workspaces.id, input.id), eq(workspaces.boxGeneration, input.generation)))
    .returning()
  return rows[0]
}

/** Notes that the box of this generation is gone for sure. */
export async function clearBox(db: Db, input: Target): Promise<void> {
  await db
    .update(workspaces)
    .set({
      boxGeneration: null,
      instanceId: null,
      boxAddress: null,
      boxStartedAt: null,
      isolation: null,
      endpointUrl: null,
    })
    .where(and(eq(workspaces.id, input.id), eq(workspaces.boxGeneration, input.generation)))
}
