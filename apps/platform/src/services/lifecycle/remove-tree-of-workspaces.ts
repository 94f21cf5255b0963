/** @module Marks a workspace removed with everything below it, and asks for what follows from that. */
import { AppError } from '@atrium/http-kit/app-error'
import type { Db } from '../../db/client.ts'
import { requestRun } from '../../db/lifecycle-run-store.ts'
import {
  findWorkspace,
  listChildren,
  listLiveDescendants,
  lockLiveWorkspace,
  transitionWorkspace,
} from '../../db/workspace-store.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import type { EventPayload } from '../../domain/workspace-events.ts'
import { type CredentialDeps, revokeWorkspaceTokens } from '../workspace-credentials.ts'

export type MarkedTree = {
  /** The root and everything below it, removed before or now. */
  readonly ids: readonly WorkspaceId[]
  /** How many below the root were not removed before. */
  readonly removedBelow: number
}

/**
 * Marks the tree from its root down, revokes its tokens and asks for a run for each, in one
 * transaction; a removal that is repeated asks again. Rolls back without a needed confirmation.
 * Throws `workspace_not_found`, `confirmation_required`.
 */
export async function markTreeRemoved(
  deps: CredentialDeps,
  root: WorkspaceId,
  options: { readonly isConfirmed: boolean; readonly isPurge: boolean },
): Promise<MarkedTree> {
  return deps.db.transaction(async (tx) => {
    const tree = await lockTreeBelow(tx, root, options)
    const { ids, removedBelow } = tree
    for (const id of ids) {
      // The root's event says how many went with it (contract/platform 7.7).
      const event = id === root ? { cascade_deleted: removedBelow } : undefined
      await markOne(tx, id, { deps, isPurge: options.isPurge, event })
    }
    return tree
  })
}

/**
 * Locks the tree from its root down; it grows while it is walked. Children are looked for below a
 * row that is locked already: who adds one has either committed or will find no parent.
 */
async function lockTreeBelow(
  tx: Db,
  root: WorkspaceId,
  options: { readonly isConfirmed: boolean },
): Promise<MarkedTree> {
  const ids = new Set([root])
  let removedBelow = 0
  for (const id of ids) {
    const row = await lockLiveWorkspace(tx, id)
    if (row !== undefined && id !== root) removedBelow += 1
    const children = await listChildren(tx, id)
    if (!options.isConfirmed && children.some(({ isLive }) => isLive)) {
      throw confirmationRequired(await listLiveDescendants(tx, root))
    }
    for (const child of children) ids.add(child.id)
  }
  return { ids: [...ids], removedBelow }
}

/** One that an earlier removal has marked is only asked for again. */
async function markOne(
  tx: Db,
  id: WorkspaceId,
  options: {
    readonly deps: CredentialDeps
    readonly isPurge: boolean
    readonly event: EventPayload | undefined
  },
): Promise<void> {
  const { deps, isPurge, event = {} } = options
  const now = deps.clock.now()
  const set = { endpointUrl: null, agentUrl: null }
  const moved = await transitionWorkspace(tx, { id, to: 'removed', now, set, event })
  const row = moved ?? (await findWorkspace(tx, id))
  if (row === undefined) throw new AppError('workspace_not_found')
  await revokeWorkspaceTokens({ ...deps, db: tx }, { workspaceId: id, reason: 'removal' })
  await requestRun(tx, { workspaceId: id, hostId: row.hostId, reason: 'removed', now, isPurge })
}

function confirmationRequired(
  children: readonly { readonly id: string; readonly name: string }[],
): AppError {
  return new AppError('confirmation_required', {
    extensions: {
      status: 'confirmation_required',
      message: 'workspace has children; repeat with ?confirm=true to delete them too',
      children: children.map(({ id, name }) => ({ id, name })),
      children_count: children.length,
    },
  })
}
