/** @module Logs do not grow for ever. */
import { purgeAuditTrail } from '../audit-trail.ts'
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

const AUDIT_PURGE_MS = 60 * 60 * 1000

/** Events of credentials, older than the operator wants to know. */
export function auditRetentionSweep(deps: Parameters<typeof purgeAuditTrail>[0]): Sweep {
  return {
    name: 'audit-retention',
    everyMs: AUDIT_PURGE_MS,
    run: (signal) => purgeAuditTrail(deps, signal),
  }
}
