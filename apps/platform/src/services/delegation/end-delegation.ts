/**
 * @module A delegation comes to its end once: its status, the row of the log that says how, and the
 * event of it are one transaction (contract/platform 4.10, 5.4).
 */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { appendActivity, type NewActivity } from '../../db/activity-store.ts'
import type { Db } from '../../db/client.ts'
import { endDelegation } from '../../db/delegation-store.ts'
import { appendEvent } from '../../db/event-store.ts'
import { firstCharacters } from '../../domain/activity.ts'
import type { Delegation, DelegationEnd } from '../../domain/delegation.ts'
import { type LogActivityDeps, tellOfActivity } from '../log-activity.ts'

export type EndDelegationDeps = Pick<LogActivityDeps, 'db' | 'events'> & {
  readonly db: Db
  readonly clock: Clock
  readonly ids: Ids
}

const SUMMARY_CHARACTERS = 80

/** False when it is over already. `via`: how the end became known. */
export async function finishDelegation(
  deps: EndDelegationDeps,
  ending: { readonly id: string; readonly end: DelegationEnd; readonly via: string },
): Promise<boolean> {
  const now = deps.clock.now()
  const told = await deps.db.transaction(async (tx) => {
    const ended = await endDelegation(tx, { ...ending, now })
    if (ended === undefined) return undefined
    const activity = resultRow(deps, ended, ending.end)
    await appendActivity(tx, activity)
    await appendEvent(tx, { workspaceId: ended.workspaceId, now, event: eventOf(ended, ending) })
    return activity
  })
  if (told !== undefined) tellOfActivity(deps.events, told)
  return told !== undefined
}

function resultRow(deps: EndDelegationDeps, ended: Delegation, end: DelegationEnd): NewActivity {
  return {
    ...delegationRow(deps, ended, 'delegate_result'),
    responseBody: {
      ...(end.status === 'completed' ? { text: end.text } : { error: end.error }),
      delegation_id: ended.id,
    },
    status: end.status,
    errorDetail: end.status === 'failed' ? end.error : null,
  }
}

/** What every row of a delegation says (contract/platform 5.4). */
export function delegationRow(
  deps: EndDelegationDeps,
  delegation: Delegation,
  method: 'delegate' | 'delegate_result',
): NewActivity {
  const { workspaceId, targetId, task, id, status } = delegation
  return {
    id: deps.ids.uuid(),
    workspaceId,
    activityType: 'delegation',
    sourceId: workspaceId,
    targetId,
    method,
    summary: firstCharacters(task, SUMMARY_CHARACTERS),
    requestBody: method === 'delegate' ? { task, delegation_id: id } : null,
    responseBody: null,
    durationMs: null,
    status,
    errorDetail: null,
    createdAt: deps.clock.now(),
  }
}

function eventOf(
  { id, targetId }: Delegation,
  { end, via }: { readonly end: DelegationEnd; readonly via: string },
) {
  const facts = { delegation_id: id, target_id: targetId, via }
  return end.status === 'completed'
    ? { type: 'DELEGATION_COMPLETE' as const, payload: facts }
    : { type: 'DELEGATION_FAILED' as const, payload: facts }
}
