/** @module JSON shape of `GET /admin/liveness`: the contract's `subsystems`, and more (1.1). */
import type { Liveness } from '../../services/sweeps/sweep-record.ts'

export function renderLiveness(liveness: Liveness) {
  const { now, passes, runs, replicas } = liveness
  const secondsAgo = (at: Date): number =>
    Math.max(0, Math.round((now.getTime() - at.getTime()) / 1000))
  return {
    subsystems: Object.fromEntries(
      passes.map((pass) => [
        pass.name,
        {
          last_tick_at: pass.lastTickAt.toISOString(),
          seconds_ago: secondsAgo(pass.lastTickAt),
          took_ms: pass.tookMs,
          replica_id: pass.replicaId,
          result: pass.result,
        },
      ]),
    ),
    runs: {
      waiting: runs.waiting,
      running: runs.running,
      failing: runs.failing,
      oldest_due_seconds: runs.oldestDueSeconds,
    },
    replicas: replicas.map((replica) => ({
      id: replica.id,
      host_id: replica.hostId,
      version: replica.version,
      started_at: replica.startedAt.toISOString(),
      last_beat_at: replica.lastBeatAt.toISOString(),
      seconds_ago: secondsAgo(replica.lastBeatAt),
    })),
  }
}
