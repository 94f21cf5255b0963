/** @module Ancestors and descendants of a workspace: recursive, cycle-safe (contract/platform 4.9, 7.6). */
import { and, eq, sql } from 'drizzle-orm'
import { MAX_ANCESTOR_HOPS } from '../domain/hierarchy.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { WorkspaceStatus } from '../domain/workspace-status.ts'
import type { Db } from './client.ts'
import { workspaces } from './schema.ts'
import { type NewWorkspace, whereLive } from './workspace-store.ts'

/** Any number, the same on every replica: whoever moves workspaces in the tree holds it. */
const TREE_LOCK_KEY = 7_204_116_049

/** Until the end of the transaction `tx` nobody else changes whose child anybody is. */
export async function lockTree(tx: Db): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${TREE_LOCK_KEY})`)
}

/** Writes columns that no rule but their own type binds; false when there is no live row. */
export async function updateWorkspaceFields(
  db: Db,
  input: {
    readonly id: WorkspaceId
    readonly set: Partial<Omit<NewWorkspace, 'status' | 'generation' | 'id'>>
    readonly now: Date
  },
): Promise<boolean> {
  const rows = await db
    .update(workspaces)
    .set({ ...input.set, updatedAt: input.now })
    .where(and(eq(workspaces.id, input.id), whereLive))
    .returning({ id: workspaces.id })
  return rows.length === 1
}

/** The nearest ancestor that is paused, or undefined. */
export async function findPausedAncestor(
  db: Db,
  id: WorkspaceId,
): Promise<{ readonly name: string } | undefined> {
  const rows = await db.execute<{ name: string }>(sql`
    WITH RECURSIVE up (id, parent_id, name, status, depth) AS (
      SELECT p.id, p.parent_id, p.name, p.status, 1
        FROM workspaces w JOIN workspaces p ON p.id = w.parent_id WHERE w.id = ${id}
      UNION ALL
      SELECT p.id, p.parent_id, p.name, p.status, up.depth + 1
        FROM up JOIN workspaces p ON p.id = up.parent_id WHERE up.depth < ${MAX_ANCESTOR_HOPS}
    )
    SELECT name FROM up WHERE status = 'paused' ORDER BY depth LIMIT 1`)
  return rows[0]
}

export type TreeMember = {
  readonly id: WorkspaceId
  readonly status: WorkspaceStatus
  readonly runtimeKind: string
  readonly hostId: string | null
}

/** A live workspace and everything live below it, from the top down; empty when there is none. */
export async function listLiveTree(db: Db, root: WorkspaceId): Promise<readonly TreeMember[]> {
  const rows = await db.execute<{
    id: WorkspaceId
    status: WorkspaceStatus
    runtime_kind: string
    host_id: string | null
  }>(sql`
    WITH RECURSIVE tree (id, depth, path) AS (
      SELECT w.id, 0, ARRAY[w.id] FROM workspaces w WHERE w.id = ${root} AND w.status <> 'removed'
      UNION ALL
      SELECT w.id, t.depth + 1, t.path || w.id FROM workspaces w JOIN tree t ON w.parent_id = t.id
       WHERE w.status <> 'removed' AND NOT w.id = ANY (t.path)
    )
    SELECT w.id, w.status, w.runtime_kind, w.host_id
      FROM tree t JOIN workspaces w ON w.id = t.id ORDER BY t.depth, w.id`)
  return rows.map((row) => ({
    id: row.id,
    status: row.status,
    runtimeKind: row.runtime_kind,
    hostId: row.host_id,
  }))
}
