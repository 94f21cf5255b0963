/** @module Logs do not grow for ever. */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../../db/client.ts'
import { pruneDeliveries } from '../../db/delivery-queue-writes.ts'
import { pruneTasks } from '../../db/task-store.ts'
import { purgeAuditTrail } from '../audit-trail.ts'
import { pruneActivity } from '../prune-activity.ts'
import { pruneOldRows } from '../prune-old-rows.ts'
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

const DELIVERY_PRUNE_MS = 10 * 60 * 1000
const DELIVERY_BATCH = 1_000

/** Messages that are over, their answers included, longer ago than the operator wants to know. */
export function deliveryRetentionSweep(deps: {
  readonly db: Db
  readonly clock: Clock
  readonly deliveryRetentionHours: number
}): Sweep {
  return {
    name: 'delivery-retention',
    everyMs: DELIVERY_PRUNE_MS,
    run: (signal) => {
      const retention = { days: deps.deliveryRetentionHours / 24, batch: DELIVERY_BATCH, signal }
      return pruneOldRows(deps.clock, retention, (old) => pruneDeliveries(deps.db, old))
    },
  }
}

const TASK_PRUNE_MS = 60 * 60 * 1000
/** A task that nobody has heard of for so long is not in a list any more; its agent may still have it. */
const TASK_DAYS = 7

/** Tasks that callers come back for, as far as they do. */
export function taskRetentionSweep(deps: { readonly db: Db; readonly clock: Clock }): Sweep {
  return {
    name: 'task-retention',
    everyMs: TASK_PRUNE_MS,
    run: (signal) =>
      pruneOldRows(deps.clock, { days: TASK_DAYS, batch: DELIVERY_BATCH, signal }, (old) =>
        pruneTasks(deps.db, old),
      ),
  }
}
