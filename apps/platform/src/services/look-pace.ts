/** @module How often one who waits looks: at once when it is rung, and not so often while that is in vain. */
import type { Clock } from '@atrium/http-kit/clock'

const REST_MS = 250

export class LookPace {
  readonly #clock: Clock
  #notBeforeMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** To be awaited before a look that somebody called for; the signal ends the waiting. */
  async rest(signal: AbortSignal): Promise<void> {
    const restMs = this.#notBeforeMs - this.#clock.now().getTime()
    if (restMs > 0) await sleepUnless(this.#clock, restMs, signal)
    this.#notBeforeMs = this.#clock.now().getTime() + REST_MS
  }

  /** The look was not in vain: the next one need not wait. */
  found(): void {
    this.#notBeforeMs = 0
  }
}

/** A sleep that the signal cuts short. */
export async function sleepUnless(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
