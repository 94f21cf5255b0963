/** @module A clock that stands until the test moves it; who sleeps wakes when its time has come. */
import type { Clock } from '@atrium/http-kit/clock'

type Sleeper = { readonly wakeAt: number; readonly wake: () => void }

export class HeldClock implements Clock {
  #now: number
  readonly #sleepers = new Set<Sleeper>()

  constructor(start: Date = new Date('2026-01-01T00:00:00.000Z')) {
    this.#now = start.getTime()
  }

  now(): Date {
    return new Date(this.#now)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const sleeper: Sleeper = { wakeAt: this.#now + ms, wake: resolve }
    const giveUp = (): void => reject(signal?.reason)
    if (signal?.aborted === true) giveUp()
    signal?.addEventListener('abort', giveUp, { once: true })
    this.#sleepers.add(sleeper)
    return promise.finally(() => {
      this.#sleepers.delete(sleeper)
      signal?.removeEventListener('abort', giveUp)
    })
  }

  /** Who sleeps at the moment. */
  get sleepers(): number {
    return this.#sleepers.size
  }

  /** Moves the time on, and wakes whom that concerns. */
  advance(ms: number): void {
    this.#now += ms
    for (const sleeper of this.#sleepers) {
      if (sleeper.wakeAt > this.#now) continue
      this.#sleepers.delete(sleeper)
      sleeper.wake()
    }
  }
}
