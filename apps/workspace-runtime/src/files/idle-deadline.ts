/** @module A deadline for silence, never for the whole transfer (design/architecture 5). */

/**
 * Calls `onIdle` when `progress` was not called for `timeoutMs`, and again only after a further
 * `progress`, which `onIdle` itself may call. Stop it in `finally`.
 */
export class IdleDeadline {
  readonly #timer: NodeJS.Timeout

  constructor(timeoutMs: number, onIdle: () => void) {
    this.#timer = setTimeout(onIdle, timeoutMs)
  }

  progress(): void {
    this.#timer.refresh()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
