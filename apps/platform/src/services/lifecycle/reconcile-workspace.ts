/** @module One lifecycle run: brings a workspace's box in line with its row, whatever happened before. */
import { AppError } from '@atrium/http-kit/app-error'
import { clearBox } from '../../db/box-store.ts'
import type { WorkspaceRow } from '../../db/schema.ts'
import {
  findWorkspace,
  purgeRemovedWorkspaces,
  transitionWorkspace,
} from '../../db/workspace-store.ts'
import { findPausedAncestor } from '../../db/workspace-tree-store.ts'
import { workspaceIdSchema } from '../../domain/ids.ts'
import { lifecycleGoal } from '../../domain/lifecycle-goal.ts'
import { isExternal } from '../../domain/runtime-kind.ts'
import { outlastOutage } from '../outlast-outage.ts'
import {
  type ProvisionDeps,
  provisionWorkspace,
  type Run,
  refuseWithoutBackEnd,
} from './provision-workspace.ts'

/** A box that cannot be ended after so many tries: a person has to look, nothing is started twice. */
const MAX_STOP_ATTEMPTS = 6

/**
 * Does what the row asks for. Resolves with the request that is fulfilled by it; throws when the
 * back-end could not do it, which is a reason to try again.
 */
export async function reconcileWorkspace(deps: ProvisionDeps, run: Run): Promise<string> {
  const { claim, signal } = run
  const id = claim.workspaceId
  const row = await outlastOutage(deps, signal, () => findWorkspace(deps.db, id))
  if (row === undefined) return claim.request
  switch (lifecycleGoal(row)) {
    case 'start':
      return start(deps, row, run)
    case 'stop':
      await stopBox(deps, row)
      await outlastOutage(deps, signal, () => fallAsleep(deps, row))
      return claim.request
    case 'remove':
      await tearDown(deps, row)
      if (claim.isPurge) await purge(deps, run)
      return claim.request
    case 'keep':
      return claim.request
  }
}

async function start(deps: ProvisionDeps, row: WorkspaceRow, run: Run): Promise<string> {
  const id = run.claim.workspaceId
  if (deps.provisioner.name === 'none') {
    await outlastOutage(deps, run.signal, () => refuseWithoutBackEnd(deps, id))
    return run.claim.request
  }
  // A child of a suspended team comes back with it (contract/platform 7.6).
  if (row.status === 'offline' && (await findPausedAncestor(deps.db, id)) !== undefined)
    return run.claim.request
  if (!(await stopOrGiveUp(deps, row, run))) return run.claim.request
  return provisionWorkspace(deps, id, run)
}

/** Ends an older box first: of two the newer one could never be told from the outside (wart W22). */
async function stopOrGiveUp(deps: ProvisionDeps, row: WorkspaceRow, run: Run): Promise<boolean> {
  try {
    await stopBox(deps, row)
    return true
  } catch (error) {
    if (run.signal.aborted || run.claim.attempts < MAX_STOP_ATTEMPTS) throw error
    deps.log.error({ err: error, workspace_id: row.id }, 'lifecycle.stop_given_up')
    const reason = 'the previous box could not be ended: see the log, then restart the workspace'
    await transitionWorkspace(deps.db, {
      id: run.claim.workspaceId,
      to: 'failed',
      from: ['provisioning', 'offline'],
      now: deps.clock.now(),
      set: { statusReason: reason, lastSampleError: reason, endpointUrl: null },
    })
    return false
  }
}

/** Ends the box that may be there and notes that it is gone. */
async function stopBox(deps: ProvisionDeps, row: WorkspaceRow): Promise<void> {
  if (row.boxGeneration === null) return
  requireOwnBackEnd(deps, row)
  const { id: workspaceId, instanceId, boxGeneration: generation } = row
  // Whoever has taken this run over meanwhile may have a newer box already: it is not meant.
  await deps.provisioner.stop({ workspaceId, instanceId, generation })
  await clearBox(deps.db, { id: workspaceIdSchema.parse(row.id), generation: row.boxGeneration })
}

async function tearDown(deps: ProvisionDeps, row: WorkspaceRow): Promise<void> {
  // What never began has neither a box nor a volume.
  if (row.generation === 0 || isExternal(row.runtimeKind)) return
  requireOwnBackEnd(deps, row)
  const box = { workspaceId: row.id, instanceId: row.instanceId }
  await deps.provisioner.stop(box)
  await deps.provisioner.removeVolume(box)
  if (row.boxGeneration === null) return
  await clearBox(deps.db, { id: workspaceIdSchema.parse(row.id), generation: row.boxGeneration })
}

/** Another back-end's box can be ended by that one only: to pass it over would leave it running. */
function requireOwnBackEnd(deps: ProvisionDeps, row: WorkspaceRow): void {
  if (row.backEnd === null || row.backEnd === deps.provisioner.name) return
  throw new AppError('provisioner_unavailable', {
    internal: `the box is held by the back-end ${row.backEnd}, and this platform has ${deps.provisioner.name}`,
  })
}

async function fallAsleep(deps: ProvisionDeps, row: WorkspaceRow): Promise<void> {
  if (row.status !== 'hibernating') return
  await transitionWorkspace(deps.db, {
    id: workspaceIdSchema.parse(row.id),
    to: 'hibernated',
    from: ['hibernating'],
    now: deps.clock.now(),
    set: { endpointUrl: null, agentUrl: null, activeTasks: 0, currentTask: '' },
  })
}

async function purge(deps: ProvisionDeps, run: Run): Promise<void> {
  await deps.db.transaction((tx) => purgeRemovedWorkspaces(tx, [run.claim.workspaceId]))
}
