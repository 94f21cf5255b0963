/** @module One run at a time per key, in the order of arrival. */

export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>()

  /** Runs `work` after everything that was asked for earlier under the same key. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve()
    const { promise: done, resolve: release } = Promise.withResolvers<void>()
    const tail = before.then(() => done)
    this.#tails.set(key, tail)
    try {
      await before
      return await work()
    } finally {
      release()
      // The last in line forgets the key, so that the map holds only what runs or waits.
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
  }
}
