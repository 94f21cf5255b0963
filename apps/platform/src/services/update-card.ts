/** @module An agent replaces its card (contract/platform 2.4). */
import { AppError } from '@atrium/http-kit/app-error'
import { loggableDatabaseError } from '../db/db-error.ts'
import { appendEvent } from '../db/event-store.ts'
import { lockLiveWorkspace, recordCard } from '../db/workspace-store.ts'
import type { Caller } from '../domain/caller.ts'
import { parseWorkspaceId } from '../domain/ids.ts'
import { databaseProblem } from './database-problem.ts'
import { admitRegistryCall, type RegisterDeps } from './register-agent.ts'

/**
 * Stores the card of a live workspace and tells of it. Throws `missing_workspace_token`,
 * `invalid_workspace_token`, `card_update_failed`.
 */
export async function updateCard(
  deps: Pick<RegisterDeps, 'db' | 'clock' | 'isBootstrapOpen' | 'refusedUses'>,
  input: {
    readonly workspaceId: string
    readonly agentCard: unknown
    readonly caller: Caller
    readonly hasBearer: boolean
  },
): Promise<void> {
  const id = parseWorkspaceId(input.workspaceId)
  if (id === undefined) throw new AppError('invalid_request_body')
  try {
    await deps.db.transaction(async (tx) => {
      const row = await lockLiveWorkspace(tx, id)
      await admitRegistryCall({ ...deps, db: tx }, { ...input, id, row })
      const now = deps.clock.now()
      const isStored = await recordCard(tx, { id, agentCard: input.agentCard, now })
      // Contract/platform 2.4 has no guard here; a removed workspace has no card to change.
      if (!isStored) throw new AppError('invalid_workspace_token')
      const payload = { agent_card: input.agentCard }
      const event = { type: 'AGENT_CARD_UPDATED', payload } as const
      await appendEvent(tx, { event, workspaceId: id, now })
    })
  } catch (error) {
    if (error instanceof AppError) throw error
    throw (
      databaseProblem(error) ??
      new AppError('card_update_failed', { cause: loggableDatabaseError(error) })
    )
  }
}
