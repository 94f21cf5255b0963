/** @module A row of the activity log, and those who follow are told of it (contract/platform 5.4). */
import type { Appended, NewActivity } from '../db/activity-store.ts'
import type { Db } from '../db/client.ts'
import type { ActivityAppends } from './activity-appends.ts'
import type { EventBus } from './event-bus.ts'

export type LogActivityDeps = {
  readonly db: Db
  readonly activities: ActivityAppends
  readonly events: Pick<EventBus, 'broadcast'>
}

/** What a follower is told besides stays in memory until it is taken: a longer trace is in the row. */
const MAX_TOLD_TRACE_CHARACTERS = 4_000

/** Appends like `appendActivity`. What is told holds no body: who wants it has the id. */
export async function logActivity(deps: LogActivityDeps, activity: NewActivity): Promise<Appended> {
  const appended = await deps.activities.append(activity)
  if (appended === 'appended') tellOfActivity(deps.events, activity)
  return appended
}

/** For a row that was appended with something else, once that has committed. */
export function tellOfActivity(events: LogActivityDeps['events'], activity: NewActivity): void {
  events.broadcast({
    type: 'ACTIVITY_LOGGED',
    workspaceId: activity.workspaceId,
    payload: {
      id: activity.id,
      activity_type: activity.activityType,
      source_id: activity.sourceId,
      target_id: activity.targetId,
      method: activity.method,
      summary: activity.summary,
      status: activity.status,
      duration_ms: activity.durationMs,
      ...toldTrace(activity.toolTrace),
    },
  })
}

function toldTrace(toolTrace: unknown): { readonly tool_trace?: unknown } {
  if (toolTrace == null || JSON.stringify(toolTrace).length > MAX_TOLD_TRACE_CHARACTERS) return {}
  return { tool_trace: toolTrace }
}
