/** @module Whether a message may be sent at all (contract/platform 4.2 steps 2 and 3). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Db } from '../db/client.ts'
import type { Sender } from '../domain/caller.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { canCommunicate } from './can-communicate.ts'
import type { Workspace } from './find-workspace.ts'

/** Throws `access_denied` and `budget_exceeded`, in this order. */
export async function admitMessage(
  db: Db,
  message: { readonly sender: Sender; readonly target: Workspace },
): Promise<void> {
  const { sender, target } = message
  const targetId = workspaceIdSchema.parse(target.id)
  await requireRelation(db, sender, targetId)
  if (target.budgetLimit !== null && target.monthlySpend >= target.budgetLimit) {
    throw new AppError('budget_exceeded')
  }
}

/** Throws `access_denied` unless the two may talk: nobody may with what does not exist. */
export async function requireRelation(
  db: Db,
  sender: Sender,
  targetId: WorkspaceId,
): Promise<void> {
  if (sender.kind !== 'workspace' || sender.workspaceId === targetId) return
  if (!(await canCommunicate(db, sender.workspaceId, targetId))) {
    throw new AppError('access_denied')
  }
}
