/** @module What an agent asks of delegations (contract/platform 4.10, contract/runtime 9.4). */
import { AppError } from '@atrium/http-kit/app-error'
import { appendActivity } from '../../db/activity-store.ts'
import {
  findDelegation,
  insertDelegation,
  listDelegations,
  type NewDelegation,
} from '../../db/delegation-store.ts'
import { appendEvent } from '../../db/event-store.ts'
import type { Delegation, DelegationEnd } from '../../domain/delegation.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { tellOfActivity } from '../log-activity.ts'
import type { DelegationRunner } from './delegation-runner.ts'
import { delegationRow, type EndDelegationDeps, finishDelegation } from './end-delegation.ts'

export type DelegateDeps = EndDelegationDeps & {
  readonly delegations: Pick<DelegationRunner, 'run' | 'look'>
}

export type DelegateRequest = {
  readonly workspaceId: WorkspaceId
  readonly targetId: WorkspaceId
  readonly task: string
  readonly idempotencyKey: string | null
}

/**
 * Has the target asked in the background. A key that is known gives the delegation that has it.
 * Throws `self_delegation`, `workspace_not_found`.
 */
export async function delegate(
  deps: DelegateDeps,
  request: DelegateRequest,
): Promise<{ readonly delegation: Delegation; readonly isNew: boolean }> {
  const { workspaceId, targetId } = request
  if (workspaceId === targetId) throw new AppError('self_delegation')
  const begun = await begin(deps, { ...request, id: deps.ids.uuid(), isRecorded: false })
  if (begun.isNew) deps.delegations.run(begun.delegation)
  return begun
}

/** Writes down what the agent itself has sent. Throws `delegation_conflict`, `workspace_not_found`. */
export async function recordDelegation(
  deps: DelegateDeps,
  recorded: Pick<NewDelegation, 'id' | 'workspaceId' | 'targetId' | 'task'>,
): Promise<void> {
  await begin(deps, { ...recorded, idempotencyKey: null, isRecorded: true })
}

async function begin(
  deps: DelegateDeps,
  fresh: Omit<NewDelegation, 'now'>,
): Promise<{ readonly delegation: Delegation; readonly isNew: boolean }> {
  const now = deps.clock.now()
  const begun = await deps.db.transaction(async (tx) => {
    const inserted = await insertDelegation(tx, { ...fresh, now })
    if (inserted === undefined) throw new AppError('delegation_conflict')
    if (!inserted.isNew) return { ...inserted, activity: undefined }
    const { id, targetId, workspaceId } = inserted.delegation
    const activity = delegationRow(deps, inserted.delegation, 'delegate')
    if ((await appendActivity(tx, activity)) === 'absent') throw new AppError('workspace_not_found')
    const event = { type: 'DELEGATION_SENT', payload: { delegation_id: id, target_id: targetId } }
    await appendEvent(tx, { workspaceId, now, event: { ...event, type: 'DELEGATION_SENT' } })
    return { ...inserted, activity }
  })
  if (begun.activity !== undefined) tellOfActivity(deps.events, begun.activity)
  return begun
}

/**
 * The end of a delegation, as its agent tells it; told twice, it is the same. Throws
 * `delegation_not_found`, `delegation_over` when it has come to another end.
 */
export async function reportDelegation(
  deps: DelegateDeps,
  report: {
    readonly workspaceId: WorkspaceId
    readonly id: string
    readonly end: DelegationEnd
  },
): Promise<void> {
  const delegation = await findDelegation(deps.db, report)
  if (delegation === undefined) throw new AppError('delegation_not_found')
  const isNow = await finishDelegation(deps, { ...report, via: 'agent' })
  const { status } = (await findDelegation(deps.db, report)) ?? delegation
  if (!isNow && status !== report.end.status) throw new AppError('delegation_over')
}

const LISTED = 50

/** The last of them, each as it is now. */
export async function readDelegations(
  deps: DelegateDeps,
  workspaceId: WorkspaceId,
): Promise<readonly Delegation[]> {
  await deps.delegations.look({ workspaceId, limit: LISTED })
  return await listDelegations(deps.db, workspaceId, LISTED)
}
