/**
 * @module Restart, pause, resume, hibernate, wake (contract/platform 7.6): the status and the run that
 * follows from it, in one transaction.
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../../db/client.ts'
import { requestRun } from '../../db/lifecycle-run-store.ts'
import type { WorkspaceRow } from '../../db/schema.ts'
import {
  lockLiveWorkspace,
  type StatusChange,
  transitionWorkspace,
} from '../../db/workspace-store.ts'
import { findPausedAncestor, listLiveTree, type TreeMember } from '../../db/workspace-tree-store.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { isExternal } from '../../domain/runtime-kind.ts'
import type { Provisioner } from '../../provisioners/provisioner.ts'

export type SuspendDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly provisioner: Provisioner
}

/** What a box that ends leaves in the row: it is nowhere and does nothing. */
const GONE = { endpointUrl: null, activeTasks: 0, currentTask: '' } as const

/** An older box than the one that is wanted now: what its agent still says brings nobody online. */
const MAKES_ROOM = { boxStartedAt: null, boxAddress: null } as const

/**
 * Asks for a new generation, with the files of `template` where there is one. Throws
 * `workspace_not_found`, `external_workspace`, `parent_paused`, `provisioner_unavailable`.
 */
export async function restartWorkspace(
  deps: SuspendDeps,
  id: WorkspaceId,
  template: string | undefined,
): Promise<void> {
  await deps.db.transaction(async (tx) => {
    const row = await requireLive(tx, id)
    if (isExternal(row.runtimeKind)) throw new AppError('external_workspace')
    requireBackEnd(deps)
    await requireRunningAncestors(tx, id)
    const set = template === undefined ? {} : { template, isTemplateDue: true }
    await startAnew(tx, row, { id, reason: 'restart', now: deps.clock.now(), set })
  })
}

/**
 * Suspends a live workspace and everything live below it; resolves with those that were running.
 * Throws `workspace_already_paused` (also for an unknown one, as the contract has it).
 */
export async function pauseTree(
  deps: SuspendDeps,
  root: WorkspaceId,
): Promise<readonly WorkspaceId[]> {
  return deps.db.transaction(async (tx) => {
    const now = deps.clock.now()
    const paused: WorkspaceId[] = []
    for (const member of await listLiveTree(tx, root)) {
      const moved = await transitionWorkspace(tx, { id: member.id, to: 'paused', now, set: GONE })
      if (moved === undefined) continue
      paused.push(member.id)
      await requestBoxRun(tx, member, { reason: 'paused', now })
    }
    if (!paused.includes(root)) throw new AppError('workspace_already_paused')
    return paused
  })
}

/**
 * Brings a suspended workspace back with everything suspended below it; an external one waits for
 * its agent. Throws `workspace_not_paused`, `parent_paused`, `provisioner_unavailable`.
 */
export async function resumeTree(
  deps: SuspendDeps,
  root: WorkspaceId,
): Promise<readonly WorkspaceId[]> {
  return deps.db.transaction(async (tx) => {
    const now = deps.clock.now()
    const members = (await listLiveTree(tx, root)).filter(({ status }) => status === 'paused')
    if (!members.some(({ id }) => id === root)) throw new AppError('workspace_not_paused')
    if (members.some((member) => !isExternal(member.runtimeKind))) requireBackEnd(deps)
    await requireRunningAncestors(tx, root)
    const resumed: WorkspaceId[] = []
    for (const member of members) {
      const to = isExternal(member.runtimeKind) ? 'awaiting_agent' : 'provisioning'
      const move = { id: member.id, to, from: ['paused'], now, set: MAKES_ROOM } as const
      if ((await transitionWorkspace(tx, move)) === undefined) continue
      resumed.push(member.id)
      await requestBoxRun(tx, member, { reason: 'resumed', now })
    }
    return resumed
  })
}

export type HibernateOptions = {
  readonly isForced: boolean
  /** Only while its last activity is this one: what came since is a reason to stay awake. */
  readonly lastActivityAt?: Date | null
}

/**
 * Puts an online workspace to sleep. Throws `workspace_not_hibernatable`, and `workspace_busy` for
 * one with active tasks unless forced (which then really ends them: wart W19).
 */
export async function hibernateWorkspace(
  deps: SuspendDeps,
  id: WorkspaceId,
  options: HibernateOptions,
): Promise<void> {
  await deps.db.transaction(async (tx) => {
    const now = deps.clock.now()
    const row = await lockLiveWorkspace(tx, id)
    const isAwake = row?.status === 'online' || row?.status === 'degraded'
    if (row === undefined || !isAwake || isExternal(row.runtimeKind)) {
      throw new AppError('workspace_not_hibernatable')
    }
    const seen = options.lastActivityAt
    if (seen !== undefined && row.lastActivityAt?.getTime() !== seen?.getTime()) {
      throw new AppError('workspace_busy', { extensions: { active_tasks: row.activeTasks } })
    }
    if (row.activeTasks > 0 && !options.isForced) {
      throw new AppError('workspace_busy', { extensions: { active_tasks: row.activeTasks } })
    }
    await transitionWorkspace(tx, { id, to: 'hibernating', now, set: GONE })
    await requestBoxRun(tx, { ...row, id }, { reason: 'hibernated', now })
  })
}

/**
 * Brings a sleeping workspace back (wart W19: upstream's wake did nothing); false when it does not
 * sleep. Throws `workspace_not_found`, `parent_paused`, `provisioner_unavailable`.
 */
export async function wakeWorkspace(deps: SuspendDeps, id: WorkspaceId): Promise<boolean> {
  return deps.db.transaction(async (tx) => {
    const row = await requireLive(tx, id)
    if (row.status !== 'hibernated' && row.status !== 'hibernating') return false
    requireBackEnd(deps)
    await requireRunningAncestors(tx, id)
    await startAnew(tx, row, { id, reason: 'woken', now: deps.clock.now() })
    return true
  })
}

async function startAnew(
  tx: Db,
  row: WorkspaceRow,
  input: {
    readonly id: WorkspaceId
    readonly reason: string
    readonly now: Date
    readonly set?: StatusChange
  },
): Promise<void> {
  const { id, reason, now } = input
  const set = { ...GONE, ...input.set, ...MAKES_ROOM }
  await transitionWorkspace(tx, { id, to: 'provisioning', now, set })
  await requestRun(tx, { workspaceId: id, hostId: row.hostId, reason, now })
}

async function requestBoxRun(
  tx: Db,
  member: Pick<TreeMember, 'id' | 'runtimeKind' | 'hostId'>,
  input: { readonly reason: string; readonly now: Date },
): Promise<void> {
  if (isExternal(member.runtimeKind)) return
  await requestRun(tx, { workspaceId: member.id, hostId: member.hostId, ...input })
}

async function requireLive(tx: Db, id: WorkspaceId): Promise<WorkspaceRow> {
  const row = await lockLiveWorkspace(tx, id)
  if (row === undefined) throw new AppError('workspace_not_found')
  return row
}

/** Said before anything changes: a start that nobody can do would only fail later. */
function requireBackEnd(deps: SuspendDeps): void {
  if (deps.provisioner.name === 'none') throw new AppError('provisioner_unavailable')
}

async function requireRunningAncestors(tx: Db, id: WorkspaceId): Promise<void> {
  const paused = await findPausedAncestor(tx, id)
  if (paused === undefined) return
  throw new AppError('parent_paused', {
    message: `parent workspace "${paused.name}" is paused — resume it first`,
  })
}
