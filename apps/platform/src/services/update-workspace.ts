/** @module Changing a workspace's own facts: name, place in the tree, layout, limits (contract 7.9). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../db/client.ts'
import type { WorkspaceRow } from '../db/schema.ts'
import { lockLiveWorkspace } from '../db/workspace-store.ts'
import { listLiveTree, lockTree, updateWorkspaceFields } from '../db/workspace-tree-store.ts'
import type { Caller } from '../domain/caller.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { isExternal } from '../domain/runtime-kind.ts'

/** Absent fields stay as they are. */
export type WorkspacePatch = Partial<
  Pick<
    WorkspaceRow,
    | 'name'
    | 'role'
    | 'tier'
    | 'runtimeKind'
    | 'model'
    | 'maxConcurrentTasks'
    | 'hibernationIdleMinutes'
    | 'canvasX'
    | 'canvasY'
    | 'canvasCollapsed'
  > & { readonly parentId: WorkspaceId | null }
>

/**
 * What decides on a workspace's rights and on what it costs: an agent that could raise its tier or
 * move in the tree would give itself a privileged box or other peers.
 */
const OPERATOR_FIELDS = {
  tier: 'tier',
  parentId: 'parent_id',
  runtimeKind: 'runtime',
  maxConcurrentTasks: 'max_concurrent_tasks',
  hibernationIdleMinutes: 'hibernation_idle_minutes',
} as const satisfies Partial<Record<keyof WorkspacePatch, string>>

/** What a box learns at its start only. */
const START_FIELDS = ['name', 'role', 'tier', 'parentId', 'runtimeKind', 'model'] as const

/**
 * Applies a patch whole or not at all, and says whether a running box needs a restart to know of it.
 * Throws `workspace_not_found` (also for an unknown parent), `operator_fields`, `parent_cycle`,
 * `invalid_workspace_fields`.
 */
export async function updateWorkspace(
  deps: { readonly db: Db; readonly clock: Clock },
  input: { readonly id: WorkspaceId; readonly patch: WorkspacePatch; readonly caller: Caller },
): Promise<{ readonly needsRestart: boolean }> {
  const { id, patch, caller } = input
  requireMayChange(caller, patch)
  return await deps.db.transaction(async (tx) => {
    // Two moves at once could make each other's ancestors of both.
    if (patch.parentId !== undefined) await lockTree(tx)
    const row = await lockLiveWorkspace(tx, id)
    if (row === undefined) throw new AppError('workspace_not_found')
    requireSameSide(row, patch)
    if (patch.parentId !== undefined && patch.parentId !== null) {
      await requireParent(tx, id, patch.parentId)
    }
    const isStored = await updateWorkspaceFields(tx, { id, set: patch, now: deps.clock.now() })
    if (!isStored) throw new AppError('workspace_not_found')
    return { needsRestart: needsRestart(row, patch) }
  })
}

function requireMayChange(caller: Caller, patch: WorkspacePatch): void {
  if (caller.kind === 'operator') return
  const fields = Object.entries(OPERATOR_FIELDS)
    .filter(([field]) => Object.hasOwn(patch, field))
    .map(([, name]) => name)
  if (fields.length > 0) throw new AppError('operator_fields', { extensions: { fields } })
}

/** A box cannot become an agent that runs elsewhere, nor the other way round. */
function requireSameSide(row: WorkspaceRow, patch: WorkspacePatch): void {
  const kind = patch.runtimeKind ?? row.runtimeKind
  if (isExternal(kind) === isExternal(row.runtimeKind)) return
  throw new AppError('invalid_workspace_fields', {
    message: 'invalid workspace fields: an external workspace stays one, and no other becomes one',
    extensions: { fields: ['runtime'] },
  })
}

async function requireParent(tx: Db, id: WorkspaceId, parentId: WorkspaceId): Promise<void> {
  // The lock makes a removal of the parent wait, so that it finds the child.
  if ((await lockLiveWorkspace(tx, parentId)) === undefined) {
    throw new AppError('workspace_not_found', { message: 'parent workspace not found' })
  }
  // From here down: the lines of ancestors end after some hops, and a circle may close above that.
  const below = await listLiveTree(tx, id)
  if (below.some((member) => member.id === parentId)) throw new AppError('parent_cycle')
}

function needsRestart(row: WorkspaceRow, patch: WorkspacePatch): boolean {
  if (isExternal(row.runtimeKind)) return false
  return START_FIELDS.some((field) => patch[field] !== undefined && patch[field] !== row[field])
}
