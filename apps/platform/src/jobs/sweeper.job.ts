/**
 * @module Makes the reconcilers' passes on time. Every replica runs it; a pass is made by whichever
 * takes it first, and what it did is kept for GET /admin/liveness.
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { Sweep } from '../services/sweeps/sweep.ts'
import type { SweepRecord } from '../services/sweeps/sweep-record.ts'

export type SweeperDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly record: SweepRecord
  /** Asked for at the start. */
  readonly sweeps: () => readonly Sweep[]
  /** How often the sweeper looks whether a pass is due. */
  readonly tickMs: number
}

/** An orchestrator kills after 30 s, and requests in flight want their share of it. */
const STOP_PATIENCE_MS = 3_000

export class Sweeper {
  readonly #deps: SweeperDeps
  readonly #stopping = new AbortController()
  #running: Promise<unknown> | undefined

  constructor(deps: SweeperDeps) {
    this.#deps = deps
  }

  /** Begins in the background. Idempotent. */
  start(): void {
    // Side by side: a pass that asks a slow back-end holds up no other.
    this.#running ??= Promise.all(this.#deps.sweeps().map((sweep) => this.#repeat(sweep)))
  }

  /**
   * Waits for the passes in progress, but not for a back-end that takes its time: what a pass still
   * does is guarded like everything else, and its calls end with the back-end. Idempotent.
   */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the platform is stopping'))
    const isOver = new AbortController()
    const patience = this.#deps.clock.sleep(STOP_PATIENCE_MS, isOver.signal).catch(() => undefined)
    await Promise.race([this.#running, patience])
    isOver.abort()
    await patience
  }

  async #repeat(sweep: Sweep): Promise<void> {
    const { clock, tickMs } = this.#deps
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#pass(sweep)
      const pauseMs = Math.min(sweep.everyMs, tickMs)
      // Aborted at the end, which the loop looks at.
      await clock.sleep(pauseMs, signal).catch(() => undefined)
    }
  }

  async #pass(sweep: Sweep): Promise<void> {
    const { log, record } = this.#deps
    try {
      const result = await record.make(sweep, this.#stopping.signal)
      const didSomething = Object.values(result ?? {}).some((count) => count > 0)
      if (didSomething) log.info({ sweep: sweep.name, result }, 'sweep.pass')
    } catch (error) {
      // The next pass is its own: a database that is away, a back-end that does not answer.
      if (!this.#stopping.signal.aborted)
        log.warn({ err: error, sweep: sweep.name }, 'sweep.failed')
    }
  }
}
