/**
 * @module Takes lifecycle runs and does them: at most one per workspace over all replicas, because a
 * run is held by a lease in the database, and at most a few at once in this one.
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { Db } from '../../db/client.ts'
import { isDatabaseUnavailable, loggableDatabaseError } from '../../db/db-error.ts'
import {
  type Claim,
  claimRun,
  finishRun,
  postponeRun,
  releaseRuns,
  renewLease,
} from '../../db/lifecycle-run-store.ts'
import { outlastOutage } from '../outlast-outage.ts'
import { TaskTracker } from '../task-tracker.ts'
import type { Run } from './provision-workspace.ts'

export type LifecycleTimings = {
  /** How long a replica may be silent before its runs are another's. */
  readonly leaseMs: number
  /** How often the runner looks for work that nobody told it of. */
  readonly pollMs: number
  /** How many boxes are started or ended at once. */
  readonly concurrency: number
}

export const LIFECYCLE_TIMINGS: LifecycleTimings = Object.freeze({
  leaseMs: 30_000,
  pollMs: 1_000,
  concurrency: 8,
})

const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000

export type RunnerDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly replicaId: string
  /** Asked for once the back-end is open. */
  readonly hostId: () => string | null
  readonly timings: LifecycleTimings
  /** Does a run; resolves with the request that it has fulfilled. */
  readonly execute: (run: Run) => Promise<string>
  /** Whether what a run in progress does is still what the row asks for. */
  readonly isStillWanted: (claim: Claim) => Promise<boolean>
}

type Running = { readonly claim: Claim; readonly end: AbortController; request: string }

export class LifecycleRunner {
  readonly #deps: RunnerDeps
  readonly #tracker: TaskTracker
  readonly #shutdown = new AbortController()
  readonly #running = new Map<string, Running>()
  #isDatabaseAway = false
  #kicked = Promise.withResolvers<void>()

  constructor(deps: RunnerDeps) {
    this.#deps = deps
    this.#tracker = new TaskTracker((error) => {
      if (!this.#shutdown.signal.aborted) deps.log.error({ err: error }, 'lifecycle.run_failed')
    })
  }

  /** Begins to take runs. Once, after the back-end is open. */
  start(): void {
    this.#tracker.run(() => this.#takeRuns())
  }

  /** Something was asked for: look now, and look again at what is being done to this workspace. */
  kick(workspaceId?: string): void {
    this.#kicked.resolve()
    const running = workspaceId === undefined ? undefined : this.#running.get(workspaceId)
    if (running !== undefined) this.#tracker.run(() => this.#recheck(running))
  }

  /** Owns background work of the lifecycle that is no run. */
  track(work: () => Promise<void>): void {
    this.#tracker.run(work)
  }

  /** Aborted when the platform ends. */
  get signal(): AbortSignal {
    return this.#shutdown.signal
  }

  /** Ends every run early and waits for them; call `release` once nothing of them is left. */
  async stop(): Promise<void> {
    this.#shutdown.abort(new Error('platform is shutting down'))
    this.kick()
    await this.#tracker.drain()
  }

  /** Lets other replicas have what was not finished. */
  async release(): Promise<void> {
    await releaseRuns(this.#deps.db, this.#deps.replicaId)
  }

  async #takeRuns(): Promise<void> {
    const { clock, timings } = this.#deps
    while (!this.#shutdown.signal.aborted) {
      this.#kicked = Promise.withResolvers<void>()
      const claim = this.#running.size < timings.concurrency ? await this.#claim() : undefined
      if (claim !== undefined) {
        this.#tracker.run(() => this.#do(claim))
        continue
      }
      const pause = new AbortController()
      const signal = AbortSignal.any([pause.signal, this.#shutdown.signal])
      await Promise.race([
        this.#kicked.promise,
        // Aborted by a kick or the end of the platform: both are looked at above.
        clock.sleep(timings.pollMs, signal).catch(() => undefined),
      ])
      pause.abort()
    }
  }

  async #claim(): Promise<Claim | undefined> {
    const { db, log, replicaId, hostId, timings } = this.#deps
    try {
      const claim = await claimRun(db, { replicaId, hostId: hostId(), leaseMs: timings.leaseMs })
      this.#isDatabaseAway = false
      return claim
    } catch (error) {
      // Asked again at the next turn; said once per outage.
      if (!this.#isDatabaseAway)
        log.warn({ err: loggableDatabaseError(error) }, 'lifecycle.waiting')
      this.#isDatabaseAway = true
      return undefined
    }
  }

  async #do(claim: Claim): Promise<void> {
    const { log } = this.#deps
    const { workspaceId: id, reason, attempts, isTakeover } = claim
    if (isTakeover) log.warn({ workspace_id: id, reason }, 'lifecycle.run_taken_over')
    log.info({ workspace_id: id, reason, attempts }, 'lifecycle.run')
    const running: Running = { claim, end: new AbortController(), request: claim.request }
    this.#running.set(id, running)
    const isOver = new AbortController()
    const lease = this.#keepLease(running, isOver.signal)
    const signal = AbortSignal.any([running.end.signal, this.#shutdown.signal])
    try {
      await this.#settle(claim, signal)
    } finally {
      isOver.abort()
      await lease
      // After an outage longer than its lease the same replica may have taken it a second time.
      if (this.#running.get(id) === running) this.#running.delete(id)
      this.kick()
    }
  }

  async #settle(claim: Claim, signal: AbortSignal): Promise<void> {
    const { db, log, execute } = this.#deps
    try {
      const request = await execute({ claim, signal })
      await outlastOutage(this.#deps, signal, () => finishRun(db, claim, request))
    } catch (error) {
      // Its lease lies with the next one, or is given back at the end.
      if (this.#shutdown.signal.aborted) return
      if (!signal.aborted) {
        log.error({ err: error, workspace_id: claim.workspaceId }, 'lifecycle.run_postponed')
      }
      const delayMs = signal.aborted ? 0 : retryDelayMs(claim.attempts)
      // What was called off has not failed: whoever waits for the next try is not told so.
      const failure = signal.aborted ? null : shortText(error)
      const again = { request: claim.request, delayMs, error: failure }
      await outlastOutage(this.#deps, this.#shutdown.signal, () => postponeRun(db, claim, again))
    }
  }

  /** Renews until the run is over; a lease that is lost ends the run, wherever it stands. */
  async #keepLease(running: Running, isOver: AbortSignal): Promise<void> {
    const { clock, timings, hostId } = this.#deps
    let renewedAt = clock.now().getTime()
    while (!isOver.aborted) {
      await clock.sleep(timings.leaseMs / 3, isOver).catch(() => undefined)
      if (isOver.aborted) return
      const held = await this.#renew(running)
      if (held === 'yes') renewedAt = clock.now().getTime()
      const isExpired = clock.now().getTime() - renewedAt >= timings.leaseMs
      // On a machine of its own nobody else can have taken it over.
      if (held === 'no' || (isExpired && hostId() === null)) {
        return running.end.abort(new Error('the run was taken over by another replica'))
      }
    }
  }

  async #renew(running: Running): Promise<'yes' | 'no' | 'unknown'> {
    const { db, log, timings } = this.#deps
    try {
      const held = await renewLease(db, running.claim, timings.leaseMs)
      if (held === undefined) return 'no'
      if (held.request !== running.request) {
        await this.#recheck(running)
        running.request = held.request
      }
      return 'yes'
    } catch (error) {
      if (!isDatabaseUnavailable(error)) log.error({ err: error }, 'lifecycle.renew_failed')
      return 'unknown'
    }
  }

  async #recheck(running: Running): Promise<void> {
    if (await this.#deps.isStillWanted(running.claim)) return
    running.end.abort(new Error('the workspace is wanted otherwise by now'))
  }
}

/** Doubles from a second to a minute. */
function retryDelayMs(attempts: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.max(attempts - 1, 0), LONGEST_RETRY_MS)
}

/** For operators, in the database: the error without what it may quote. */
function shortText(error: unknown): string {
  const { name, message } = loggableDatabaseError(error)
  return `${name}: ${message}`.slice(0, 200)
}
