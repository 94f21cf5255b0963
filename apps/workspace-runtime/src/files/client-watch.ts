/** @module Whether the client of an answer is still there, and still takes it. */
import { Breaking } from './breaking.ts'
import { IdleDeadline } from './idle-deadline.ts'

/** Breaks `breaking` when the client is gone, or when there was no progress for too long. */
export class ClientWatch {
  readonly breaking = new Breaking()
  readonly #signal: AbortSignal
  readonly #idle: IdleDeadline
  readonly #onGone = (): void => this.breaking.break(this.#signal.reason)

  /** `signal` is aborted when the client is gone. To be stopped in `finally`. */
  constructor(signal: AbortSignal, idleTimeoutMs: number) {
    this.#signal = signal
    this.#idle = new IdleDeadline(idleTimeoutMs, () =>
      this.breaking.break(new Error('the client stopped reading')),
    )
    signal.addEventListener('abort', this.#onGone)
    if (signal.aborted) this.#onGone()
  }

  progress(): void {
    this.#idle.progress()
  }

  stop(): void {
    this.#signal.removeEventListener('abort', this.#onGone)
    this.#idle.stop()
  }
}
