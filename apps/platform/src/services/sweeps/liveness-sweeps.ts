/**
 * @module Who has not been heard of (contract/platform 7.3, 7.11). A workspace of ours is dead when
 * its back-end says so too; otherwise it is degraded: busy is not dead.
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../../db/client.ts'
import type { WorkspaceRow } from '../../db/schema.ts'
import { type After, listSilent } from '../../db/sweep-store.ts'
import { transitionWorkspace } from '../../db/workspace-store.ts'
import { workspaceIdSchema } from '../../domain/ids.ts'
import { isManaged } from '../../domain/workspace-endpoint.ts'
import type { WorkspaceLifecycle } from '../workspace-lifecycle.ts'
import { eachRow } from './each-row.ts'
import type { PassResult, Sweep } from './sweep.ts'

export type LivenessDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly lifecycle: WorkspaceLifecycle
  readonly sweepIntervalMs: number
  /** How long a workspace may be silent (180 s), and an external one (90 s). */
  readonly livenessStaleMs: number
  readonly externalStaleMs: number
}

export function livenessSweep(deps: LivenessDeps): Sweep {
  return {
    name: 'liveness',
    everyMs: deps.sweepIntervalMs,
    run: (signal) => sweepSilent(deps, signal),
  }
}

async function sweepSilent(deps: LivenessDeps, signal: AbortSignal): Promise<PassResult> {
  const before = new Date(deps.clock.now().getTime() - deps.livenessStaleMs)
  const result = { dead: 0, degraded: 0, offline: 0 }
  const silent = (after: After) => listSilent(deps.db, { before, isExternal: false, after })
  for await (const row of eachRow(silent, signal)) {
    if (!isManaged(row)) result.offline += await sayOffline(deps, row)
    else if ((await deps.lifecycle.judge(row, 'no heartbeat')) === 'dead') result.dead += 1
    else result.degraded += await sayDegraded(deps, row)
  }
  return result
}

async function sayOffline(deps: LivenessDeps, row: WorkspaceRow): Promise<number> {
  const moved = await transitionWorkspace(deps.db, {
    id: workspaceIdSchema.parse(row.id),
    to: 'offline',
    from: [row.status],
    heardOfBefore: row.lastHeartbeatAt,
    now: deps.clock.now(),
    set: { statusReason: `no heartbeat for ${seconds(deps.livenessStaleMs)} s`, activeTasks: 0 },
  })
  return moved === undefined ? 0 : 1
}

async function sayDegraded(deps: LivenessDeps, row: WorkspaceRow): Promise<number> {
  const moved = await transitionWorkspace(deps.db, {
    id: workspaceIdSchema.parse(row.id),
    to: 'degraded',
    from: ['online'],
    generation: row.generation,
    heardOfBefore: row.lastHeartbeatAt,
    now: deps.clock.now(),
    set: {
      statusReason: `no heartbeat for ${seconds(deps.livenessStaleMs)} s, though its box runs`,
    },
  })
  return moved === undefined ? 0 : 1
}

/** External agents come back by themselves: until then they are awaited (contract 13.12). */
export function externalStalenessSweep(deps: LivenessDeps): Sweep {
  return {
    name: 'external-staleness',
    everyMs: deps.sweepIntervalMs,
    run: (signal) => sweepExternal(deps, signal),
  }
}

async function sweepExternal(deps: LivenessDeps, signal: AbortSignal): Promise<PassResult> {
  const { db, clock, externalStaleMs } = deps
  const before = new Date(clock.now().getTime() - externalStaleMs)
  let awaited = 0
  const silent = (after: After) => listSilent(db, { before, isExternal: true, after })
  for await (const row of eachRow(silent, signal)) {
    const moved = await transitionWorkspace(db, {
      id: workspaceIdSchema.parse(row.id),
      to: 'awaiting_agent',
      from: ['online', 'degraded'],
      heardOfBefore: row.lastHeartbeatAt,
      now: clock.now(),
      set: { statusReason: `no heartbeat for ${seconds(externalStaleMs)} s`, activeTasks: 0 },
    })
    if (moved !== undefined) awaited += 1
  }
  return { awaited }
}

function seconds(ms: number): number {
  return Math.round(ms / 1000)
}
