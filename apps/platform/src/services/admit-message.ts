/** @module Whether a message may be sent at all (contract/platform 4.2 steps 2 and 3). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Db } from '../db/client.ts'
import { listLineage } from '../db/workspace-store.ts'
import type { Sender } from '../domain/caller.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import type { Workspace } from './find-workspace.ts'

/** Throws `access_denied` and `budget_exceeded`, in this order. */
export async function admitMessage(
  db: Db,
  message: { readonly sender: Sender; readonly target: Workspace },
): Promise<void> {
  const { sender, target } = message
  const targetId = workspaceIdSchema.parse(target.id)
  if (sender.kind === 'workspace' && !(await canCommunicate(db, sender.workspaceId, targetId))) {
    throw new AppError('access_denied')
  }
  if (target.budgetLimit !== null && target.monthlySpend >= target.budgetLimit) {
    throw new AppError('budget_exceeded')
  }
}

/**
 * Contract/platform 4.9: a workspace talks to itself, to its siblings (roots are siblings), and up
 * and down its own line. One that does not exist talks to nobody.
 */
export async function canCommunicate(db: Db, a: WorkspaceId, b: WorkspaceId): Promise<boolean> {
  if (a === b) return true
  const lines = [await listLineage(db, a), await listLineage(db, b)] as const
  const [ownA, ownB] = [lines[0][0], lines[1][0]]
  if (ownA === undefined || ownB === undefined) return false
  if (ownA.parentId === ownB.parentId) return true
  return lines[0].some(({ id }) => id === b) || lines[1].some(({ id }) => id === a)
}
