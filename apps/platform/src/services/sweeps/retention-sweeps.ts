/** @module Logs do not grow for ever. */
import { pruneActivity } from '../prune-activity.ts'
import type { Sweep } from './sweep.ts'

export type RetentionDeps = Parameters<typeof pruneActivity>[0] & {
  readonly activityCleanupMs: number
}

/** Contract/platform 5.4. */
export function activityRetentionSweep(deps: RetentionDeps): Sweep {
  return {
    name: 'activity-retention',
    everyMs: deps.activityCleanupMs,
    run: (signal) => pruneActivity(deps, signal),
  }
}
