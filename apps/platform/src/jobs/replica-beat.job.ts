/** @module Says to the other replicas that this one is there (`services/replica-presence.ts`). */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'

export type ReplicaBeatDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly everyMs: number
  readonly beat: () => Promise<void>
  readonly leave: () => Promise<void>
}

export class ReplicaBeat {
  readonly #deps: ReplicaBeatDeps
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined

  constructor(deps: ReplicaBeatDeps) {
    this.#deps = deps
  }

  /** Begins in the background. Idempotent. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Waits for the beat in progress and takes the replica out of the list. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort(new Error('the platform is stopping'))
    await this.#running
    await this.#deps.leave()
  }

  async #run(): Promise<void> {
    const { clock, everyMs, log, beat } = this.#deps
    const { signal } = this.#stopping
    let isFailing = false
    while (!signal.aborted) {
      try {
        await beat()
        isFailing = false
      } catch (error) {
        // Said once per outage: the next beat tries again.
        if (!isFailing) log.warn({ err: error }, 'replica.beat_failed')
        isFailing = true
      }
      // Aborted at the end, which the loop looks at.
      await clock.sleep(everyMs, signal).catch(() => undefined)
    }
  }
}
