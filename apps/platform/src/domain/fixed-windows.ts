/** @module Counting per key in fixed windows of time; bounded, and without a timer of its own. */

type Window = { readonly startedAt: number; count: number }

export type Take = {
  readonly isAllowed: boolean
  readonly remaining: number
  /** Until the window of this key is over; at least 1. */
  readonly resetSeconds: number
}

/** So many windows that are over are forgotten with every new one: old keys go, none costs much. */
const PURGED_AT_ONCE = 8

export class FixedWindows {
  readonly limit: number
  readonly #windowMs: number
  readonly #maxKeys: number
  /** In the order in which the windows began: those that are over come first. */
  readonly #windows = new Map<string, Window>()

  constructor(options: {
    readonly limit: number
    readonly windowMs: number
    readonly maxKeys: number
  }) {
    this.limit = options.limit
    this.#windowMs = options.windowMs
    this.#maxKeys = options.maxKeys
  }

  /** Keys that are remembered at the moment. */
  get size(): number {
    return this.#windows.size
  }

  /** Counts one for `key`, unless its window is used up. */
  take(key: string, now: number): Take {
    const window = this.#current(key, now) ?? this.#open(key, now)
    const isAllowed = window.count < this.limit
    if (isAllowed) window.count += 1
    return this.#describe(window, isAllowed, now)
  }

  /** What `take` would say, without counting. */
  peek(key: string, now: number): Take {
    const window = this.#current(key, now) ?? { startedAt: now, count: 0 }
    return this.#describe(window, window.count < this.limit, now)
  }

  /** Takes one back that turned out to count for somebody else. */
  giveBack(key: string, now: number): void {
    const window = this.#current(key, now)
    if (window !== undefined && window.count > 0) window.count -= 1
  }

  #current(key: string, now: number): Window | undefined {
    const window = this.#windows.get(key)
    return window !== undefined && this.#isOver(window, now) ? undefined : window
  }

  #open(key: string, now: number): Window {
    this.#purge(now)
    const window = { startedAt: now, count: 0 }
    // Deleted first, so that it moves to the end.
    this.#windows.delete(key)
    this.#windows.set(key, window)
    return window
  }

  /** Forgets windows that are over, and where there are too many, the one that ends next. */
  #purge(now: number): void {
    let left = PURGED_AT_ONCE
    for (const [key, window] of this.#windows) {
      const isFull = this.#windows.size >= this.#maxKeys
      if (left === 0 || !(isFull || this.#isOver(window, now))) return
      this.#windows.delete(key)
      left -= 1
    }
  }

  #isOver(window: Window, now: number): boolean {
    return now - window.startedAt >= this.#windowMs
  }

  #describe(window: Window, isAllowed: boolean, now: number): Take {
    const leftMs = window.startedAt + this.#windowMs - now
    return {
      isAllowed,
      remaining: this.limit - window.count,
      resetSeconds: Math.max(1, Math.ceil(leftMs / 1000)),
    }
  }
}
