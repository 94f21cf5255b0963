/**
 * @module Deadlines for *no progress*, never for a whole transfer: a slow but moving transfer of
 * an hour passes, a stalled one frees its place (design/architecture 5, H32).
 */

/** One timer at a time: each phase of an exchange replaces the one before. */
export class ProgressWatchdog {
  #timer: NodeJS.Timeout | undefined

  /** Calls `onSilence` once when `timeoutMs` milliseconds pass without `progressed()`. */
  watch(timeoutMs: number, onSilence: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(onSilence, timeoutMs)
  }

  /** A byte moved: the current phase's time starts again. Cheap enough for every chunk. */
  progressed(): void {
    // `refresh` would start a timer again that has fired already; after `stop` there is none.
    this.#timer?.refresh()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
