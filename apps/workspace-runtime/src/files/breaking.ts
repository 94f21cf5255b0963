/** @module One reason for which everything that is waited for ends. */

/**
 * Where several things go on side by side, the first that fails ends the waiting for the others.
 * `Promise.race` with a promise that stays open keeps something for every call until it settles,
 * which in an archive of a million files is a leak; this keeps what is waited for now.
 */
export class Breaking {
  readonly #waiting = new Set<(reason: unknown) => void>()
  #broken: { readonly reason: unknown } | undefined

  /** Rejects all waiting, now and later, with the first reason given. */
  break(reason: unknown): void {
    if (this.#broken !== undefined) return
    this.#broken = { reason }
    for (const reject of this.#waiting) reject(reason)
    this.#waiting.clear()
  }

  throwIfBroken(): void {
    if (this.#broken !== undefined) throw this.#broken.reason
  }

  /** As `promise`, until `break`; then nobody waits for the promise, and its failure is nobody's. */
  wait<Value>(promise: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#broken === undefined) this.#waiting.add(reject)
      else reject(this.#broken.reason)
      promise.then(
        (value) => {
          this.#waiting.delete(reject)
          resolve(value)
        },
        (error) => {
          this.#waiting.delete(reject)
          reject(error)
        },
      )
    })
  }
}
