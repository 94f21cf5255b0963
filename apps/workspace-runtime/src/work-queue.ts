/** @module At most so many turns at a time; the others wait in the order they came. */

type Waiting = { readonly admit: () => void }

/** A place in the queue, held from before a message is accepted until its turn has ended. */
export type Ticket = {
  /** Idempotent. */
  release(): void
}

export class WorkQueue {
  readonly #concurrency: number
  readonly #maxWaiting: number
  readonly #waiting: Waiting[] = []
  #running = 0
  #tickets = 0

  constructor(limits: { readonly concurrency: number; readonly maxWaiting: number }) {
    this.#concurrency = limits.concurrency
    this.#maxWaiting = limits.maxWaiting
  }

  /**
   * A place for one more turn, or undefined when there is none. Taken at once: of many messages that
   * come together no more are accepted than there are places.
   */
  admit(): Ticket | undefined {
    if (this.#tickets >= this.#concurrency + this.#maxWaiting) return undefined
    this.#tickets += 1
    let isHeld = true
    return {
      release: () => {
        if (isHeld) this.#tickets -= 1
        isHeld = false
      },
    }
  }

  /**
   * Runs `work` when it is its turn and passes on its outcome. Rejects with the signal's reason
   * when that is aborted while waiting; `work` is not called then.
   */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    await this.#enter(signal)
    try {
      return await work()
    } finally {
      this.#leave()
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    if (this.#running < this.#concurrency) {
      this.#running += 1
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting: Waiting = { admit: () => resolve() }
    this.#waiting.push(waiting)
    signal.addEventListener('abort', waiting.admit, { once: true })
    await promise
    signal.removeEventListener('abort', waiting.admit)
    if (!signal.aborted) return
    const index = this.#waiting.indexOf(waiting)
    if (index >= 0) this.#waiting.splice(index, 1)
    // Admitted and aborted at once: the place goes to the next in line.
    else this.#leave()
    signal.throwIfAborted()
  }

  /** Hands the place over rather than freeing it: a newcomer must not overtake who waits. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running -= 1
    else next.admit()
  }
}
