/** @module This process among those that run the platform. */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../db/client.ts'
import { beatReplica, REPLICA_BEAT_MS, removeReplica } from '../db/replica-store.ts'
import type { WorkspaceLifecycle } from './workspace-lifecycle.ts'

export type ReplicaPresence = {
  readonly everyMs: number
  readonly beat: () => Promise<void>
  readonly leave: () => Promise<void>
}

/** Beats under `replicaId` with the machine whose boxes this replica holds. */
export function replicaPresence(deps: {
  readonly db: Db
  readonly clock: Clock
  readonly lifecycle: WorkspaceLifecycle
  readonly replicaId: string
  readonly version: string
}): ReplicaPresence {
  const { db, clock, lifecycle, replicaId, version } = deps
  const startedAt = clock.now()
  return {
    everyMs: REPLICA_BEAT_MS,
    beat: () => {
      const replica = { id: replicaId, hostId: lifecycle.hostId, version, startedAt }
      return beatReplica(db, replica, clock.now())
    },
    leave: () => removeReplica(db, replicaId),
  }
}
