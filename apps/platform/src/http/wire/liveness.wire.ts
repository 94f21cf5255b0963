/** @module JSON shape of `GET /admin/liveness`: the contract's `subsystems`, and more (1.1). */
import { z } from 'zod'
import type { Liveness } from '../../services/sweeps/sweep-record.ts'

const moment = z.iso.datetime()

export const livenessResponse = z.object({
  subsystems: z.record(
    z.string(),
    z.object({
      last_tick_at: moment,
      seconds_ago: z.int(),
      took_ms: z.int(),
      replica_id: z.uuid(),
      result: z.unknown(),
    }),
  ),
  runs: z.object({
    waiting: z.int(),
    running: z.int(),
    failing: z.int(),
    oldest_due_seconds: z.number(),
  }),
  upload_sweeps: z
    .object({
      workspaces: z.int(),
      removed: z.int(),
      failing: z.int(),
      oldest_seconds_ago: z.int().nullable(),
    })
    .describe('The last sweeps of upload folders, as the runtimes that are awake tell of them.'),
  replicas: z.array(
    z.object({
      id: z.uuid(),
      host_id: z.string().nullable(),
      version: z.string(),
      started_at: moment,
      last_beat_at: moment,
      seconds_ago: z.int(),
    }),
  ),
})

export function renderLiveness(liveness: Liveness): z.input<typeof livenessResponse> {
  const { now, passes, runs, uploadSweeps, replicas } = liveness
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
    upload_sweeps: {
      workspaces: uploadSweeps.workspaces,
      removed: uploadSweeps.removed,
      failing: uploadSweeps.failing,
      oldest_seconds_ago: uploadSweeps.oldestSecondsAgo,
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
