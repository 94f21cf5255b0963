/** @module What runs beside the requests: who is there, and the reconcilers. Wiring, like `app.ts`. */
import type { AppDeps } from './deps.ts'
import { ReplicaBeat } from './jobs/replica-beat.job.ts'
import { Sweeper } from './jobs/sweeper.job.ts'
import { DeliveryPump } from './services/delivery/delivery-pump.ts'
import { eventOfDelivery } from './services/gateway/delivery-task.ts'
import { rescueStranded } from './services/gateway/rescue-stranded.ts'
import { sendQueued } from './services/gateway/send-queued.ts'
import { taskAgent } from './services/gateway/task-agent.ts'
import { pruneEvents } from './services/prune-events.ts'
import { PushRelay } from './services/push/push-relay.ts'
import { replicaPresence } from './services/replica-presence.ts'
import {
  hibernationSweep,
  provisionTimeoutSweep,
  unattendedSweep,
} from './services/sweeps/lifecycle-sweeps.ts'
import { externalStalenessSweep, livenessSweep } from './services/sweeps/liveness-sweeps.ts'
import {
  activityRetentionSweep,
  auditRetentionSweep,
  deliveryRetentionSweep,
  taskRetentionSweep,
} from './services/sweeps/retention-sweeps.ts'
import { secretSweeps } from './services/sweeps/secret-sweeps.ts'
import type { Sweep } from './services/sweeps/sweep.ts'
import { SweepRecord } from './services/sweeps/sweep-record.ts'

/** What nobody is at waits so long at most. */
const UNATTENDED_EVERY_MS = 15_000
const RETENTION_EVERY_MS = 60 * 60 * 1000

export type Background = {
  /** After the back-end is open. */
  start(): void
  /** Before the lifecycle stops: no pass asks for anything any more. */
  stop(): Promise<void>
}

export function createBackground(deps: AppDeps): Background {
  const beat = new ReplicaBeat({ ...deps, ...replicaPresence(deps) })
  const sweeper = new Sweeper({
    ...deps,
    record: new SweepRecord(deps),
    sweeps: () => sweepsOf(deps),
    tickMs: deps.sweepIntervalMs,
  })
  const pump = new DeliveryPump({ ...deps, send: sendQueued(deps) })
  const relay = new PushRelay({ ...deps, eventOfEnd: eventOfDelivery })
  return {
    start() {
      deps.refusedUses.start()
      deps.events.start()
      deps.ledger.start()
      deps.streams.whenNews((news) => deps.taskIndex.noteNews(news))
      deps.streams.start((stream) => taskAgent(deps, stream))
      pump.start()
      relay.start()
      beat.start()
      sweeper.start()
    },
    async stop() {
      await sweeper.stop()
      await Promise.all([deps.delegations.stop(), pump.stop(), relay.stop(), deps.streams.stop()])
      await beat.stop()
    },
  }
}

function sweepsOf(deps: AppDeps): readonly Sweep[] {
  const { lifecycle, sweepIntervalMs } = deps
  const { hostId } = lifecycle
  return [
    livenessSweep(deps),
    externalStalenessSweep(deps),
    provisionTimeoutSweep(deps),
    hibernationSweep(deps),
    unattendedSweep(deps),
    ...secretSweeps(deps),
    activityRetentionSweep(deps),
    auditRetentionSweep(deps),
    deliveryRetentionSweep(deps),
    taskRetentionSweep(deps),
    {
      name: 'stranded-deliveries',
      everyMs: UNATTENDED_EVERY_MS,
      run: () => rescueStranded(deps),
    },
    {
      name: 'delegations',
      everyMs: UNATTENDED_EVERY_MS,
      run: () => deps.delegations.look(),
    },
    {
      name: 'delegation-retention',
      everyMs: RETENTION_EVERY_MS,
      run: (signal) => deps.delegations.prune(signal),
    },
    { name: 'events', everyMs: RETENTION_EVERY_MS, run: (signal) => pruneEvents(deps, signal) },
    {
      // Boxes that are bound to a machine are looked at on every machine.
      name: hostId === null ? 'boxes' : `boxes@${hostId}`,
      everyMs: sweepIntervalMs,
      run: (signal) => lifecycle.sweepBoxes(signal),
    },
  ]
}
