/** @module Where a workspace is and what opens it: once, for files and messages alike (contract 6.1). */
import { AppError } from '@atrium/http-kit/app-error'
import { loggableDatabaseError } from '../db/db-error.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { endpointOf, type WorkspaceEndpoint } from '../domain/workspace-endpoint.ts'
import { getWorkspace, type Workspace } from './find-workspace.ts'
import {
  type PresentedSecrets,
  type RotationDeps,
  secretsToPresent,
} from './inbound-secret-rotation.ts'
import { type NoteUseDeps, noteUse } from './note-use.ts'
import { ensureInboundSecret } from './workspace-credentials.ts'
import type { WorkspaceLifecycle } from './workspace-lifecycle.ts'

export type ForwardTargetDeps = RotationDeps &
  NoteUseDeps & { readonly lifecycle: WorkspaceLifecycle }

export type ForwardTarget = {
  readonly workspaceId: WorkspaceId
  readonly endpoint: WorkspaceEndpoint
  /** Best first; a second one, during a rotation, for a workspace that refuses the first. */
  readonly secrets: PresentedSecrets
  /** As it was read: what the workspace shows about its secrets is noted against it. */
  readonly row: Workspace
}

/**
 * The target of a workspace by its id. Throws what `resolveForwardTarget` throws,
 * `workspace_not_found`, and `inbound_secret_read_failed` when the row cannot be read
 * (contract/runtime 5.1).
 */
export async function findForwardTarget(
  deps: ForwardTargetDeps,
  workspaceId: WorkspaceId,
): Promise<ForwardTarget> {
  const target = await resolveForwardTarget(deps, await readWorkspace(deps, workspaceId))
  noteUse(deps, target.row)
  return target
}

async function readWorkspace(deps: ForwardTargetDeps, id: WorkspaceId): Promise<Workspace> {
  try {
    return await getWorkspace(deps.db, id)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('inbound_secret_read_failed', { cause: loggableDatabaseError(error) })
  }
}

/**
 * URL first, then the secret (contract/platform 13.4). A secret that had to be minted is not in the
 * workspace yet: it is delivered at once and the caller is asked to come back; a sleeping workspace
 * is woken. Throws `workspace_waking`, `parent_paused`, `workspace_url_missing`, `inbound_secret_minted`, `inbound_secret_unavailable`,
 * `inbound_secret_read_failed`.
 */
export async function resolveForwardTarget(
  deps: ForwardTargetDeps,
  workspace: Workspace,
): Promise<ForwardTarget> {
  const workspaceId = workspaceIdSchema.parse(workspace.id)
  await wakeIfAsleep(deps, workspace)
  // A poll workspace may have told a URL once; nobody promises to listen there (contract 6.1).
  const endpoint = workspace.deliveryMode === 'poll' ? undefined : endpointOf(workspace)
  if (endpoint === undefined) throw new AppError('workspace_url_missing')
  const { secret, wasMinted } = await ensureInboundSecret(deps, workspace)
  if (wasMinted) {
    deps.lifecycle.deliverInboundSecret(workspaceId)
    throw new AppError('inbound_secret_minted')
  }
  const secrets = secretsToPresent(deps, workspace, secret)
  return { workspaceId, endpoint, secrets, row: workspace }
}

/** Wart W19: who is asked for wakes up. The caller comes back when it is there. */
async function wakeIfAsleep(deps: ForwardTargetDeps, workspace: Workspace): Promise<void> {
  if (workspace.status !== 'hibernated' && workspace.status !== 'hibernating') return
  await deps.lifecycle.wake(workspaceIdSchema.parse(workspace.id))
  throw new AppError('workspace_waking', { extensions: { waking: true } })
}
