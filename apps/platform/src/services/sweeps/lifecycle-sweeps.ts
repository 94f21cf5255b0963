/** @module Starts that never come up, agents that nobody needs, rows that nobody attends to. */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../../db/client.ts'
import { requestRun } from '../../db/lifecycle-run-store.ts'
import type { WorkspaceRow } from '../../db/schema.ts'
import { type After, listIdle, listStuckStarts, listUnattended } from '../../db/sweep-store.ts'
import { transitionWorkspace } from '../../db/workspace-store.ts'
import { workspaceIdSchema } from '../../domain/ids.ts'
import { lifecycleGoal } from '../../domain/lifecycle-goal.ts'
import { provisionTimeoutMs, shortestProvisionTimeoutMs } from '../../domain/provision-timeout.ts'
import { provisionFailed } from '../../domain/workspace-events.ts'
import type { WorkspaceLifecycle } from '../workspace-lifecycle.ts'
import { eachRow } from './each-row.ts'
import type { PassResult, Sweep } from './sweep.ts'

export type LifecycleSweepDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly lifecycle: WorkspaceLifecycle
  readonly sweepIntervalMs: number
  /** The operator's, for all runtime kinds; without it each has its own. */
  readonly provisionTimeoutMs: number | undefined
}

/** Contract/platform 7.3: a start that has not come up in time has failed. */
export function provisionTimeoutSweep(deps: LifecycleSweepDeps): Sweep {
  return {
    name: 'provision-timeout',
    everyMs: deps.sweepIntervalMs,
    run: async (signal) => {
      const before = ago(deps, shortestProvisionTimeoutMs(deps.provisionTimeoutMs))
      let failed = 0
      const stuck = (after: After) => listStuckStarts(deps.db, { before, after })
      for await (const row of eachRow(stuck, signal)) {
        if (await failStart(deps, row)) failed += 1
      }
      if (failed > 0) deps.lifecycle.kick()
      return { failed }
    },
  }
}

function ago({ clock }: LifecycleSweepDeps, ms: number): Date {
  return new Date(clock.now().getTime() - ms)
}

/** False for one that has more time than others, or has come up meanwhile. */
async function failStart(deps: LifecycleSweepDeps, row: WorkspaceRow): Promise<boolean> {
  const id = workspaceIdSchema.parse(row.id)
  const now = deps.clock.now()
  const timeoutMs = provisionTimeoutMs(row.runtimeKind, deps.provisionTimeoutMs)
  const timeoutSeconds = Math.round(timeoutMs / 1000)
  const reason = `not online within ${timeoutSeconds} s of its start; see its console output`
  return deps.db.transaction(async (tx) => {
    const moved = await transitionWorkspace(tx, {
      id,
      to: 'failed',
      from: ['provisioning'],
      sameStatusBefore: ago(deps, timeoutMs),
      now,
      set: { statusReason: reason, lastSampleError: reason, endpointUrl: null },
      event: provisionFailed({
        error: reason,
        timeout: { seconds: timeoutSeconds, runtimeKind: row.runtimeKind },
      }),
    })
    if (moved === undefined) return false
    await requestRun(tx, { workspaceId: id, hostId: row.hostId, reason: 'start timed out', now })
    return true
  })
}

/** By the last message, file or task; an idle agent goes on beating (wart W19). */
export function hibernationSweep(deps: LifecycleSweepDeps): Sweep {
  return {
    name: 'hibernation-monitor',
    everyMs: Math.max(deps.sweepIntervalMs, 30_000),
    run: async (signal) => {
      const now = deps.clock.now()
      const idle = (after: After) => listIdle(deps.db, { now, after })
      const result = { hibernated: 0, overtaken: 0 }
      for await (const row of eachRow(idle, signal)) {
        const isAsleep = await deps.lifecycle.hibernateIfIdle(row)
        result[isAsleep ? 'hibernated' : 'overtaken'] += 1
      }
      return result
    },
  }
}

/** Every row whose status asks for something has a run that does it. */
export function unattendedSweep(deps: LifecycleSweepDeps): Sweep {
  return {
    name: 'unattended-workspaces',
    everyMs: deps.sweepIntervalMs,
    run: async (signal): Promise<PassResult> => {
      const now = deps.clock.now()
      let requested = 0
      const unattended = (after: After) => listUnattended(deps.db, after)
      for await (const row of eachRow(unattended, signal)) {
        if (lifecycleGoal(row) === 'keep') continue
        const workspaceId = workspaceIdSchema.parse(row.id)
        await requestRun(deps.db, { workspaceId, hostId: row.hostId, reason: 'unattended', now })
        requested += 1
      }
      if (requested > 0) deps.lifecycle.kick()
      return { requested }
    },
  }
}
