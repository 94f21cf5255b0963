/** @module Work that outlives its request: owned here, drained at the end (H36). */

export class TaskTracker {
  readonly #running = new Set<Promise<void>>()
  readonly #onFailure: (error: unknown) => void

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure
  }

  /** Takes ownership of `work`; a rejection is reported, never lost. */
  run(work: () => Promise<void>): void {
    const task: Promise<void> = work()
      .catch((error: unknown) => this.#onFailure(error))
      .finally(() => {
        this.#running.delete(task)
      })
    this.#running.add(task)
  }

  /** Resolves when everything that runs, or starts meanwhile, has ended. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}
