/** @module How many jobs of one workspace run at once on its host; the others wait in line. */

export class JobSlots {
  readonly #most: number
  readonly #lines = new Map<string, { running: number; readonly waiting: (() => void)[] }>()

  constructor(most: number) {
    this.#most = most
  }

  /**
   * Resolves when it is the caller's turn, with what gives the place to the next; rejects with the
   * signal's reason when it is aborted first.
   */
  async take(key: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    const line = this.#lines.get(key) ?? { running: 0, waiting: [] }
    this.#lines.set(key, line)
    if (line.running < this.#most) line.running += 1
    else await this.#wait(line.waiting, signal)
    return () => this.#release(key)
  }

  #wait(waiting: (() => void)[], signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = (): void => {
        waiting.splice(waiting.indexOf(turn), 1)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      waiting.push(turn)
    })
  }

  /** The place goes to who waits longest; without anybody the workspace is forgotten. */
  #release(key: string): void {
    const line = this.#lines.get(key)
    const next = line?.waiting.shift()
    if (line === undefined || next !== undefined) next?.()
    else if (line.running > 1) line.running -= 1
    else this.#lines.delete(key)
  }
}
