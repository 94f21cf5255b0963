/**
 * @module Group commit: what arrives while a statement is in flight rides together in the next one.
 * The first of a quiet time goes at once; nothing waits for company unless `restMs` says so.
 */
import { AppError } from '@atrium/http-kit/app-error'

export type GroupCommitOptions<Item, Result> = {
  /**
   * Does the work of a group, and gives the outcome of each item in its order. An outcome that is a
   * promise is the item's own affair: the next group does not wait for it.
   */
  readonly run: (items: readonly Item[]) => Promise<readonly (Result | Promise<Result>)[]>
  /**
   * Whether an error of `run` is that of one item of its group, and means that nothing was done: the
   * items are done one by one then, so that the others do not share its fate. Default: never.
   */
  readonly isOneToBlame?: (error: unknown) => boolean
  /** Roughly what an item holds in memory. */
  readonly sizeOf: (item: Item) => number
  readonly maxGroupItems: number
  readonly maxGroupBytes: number
  readonly maxWaitingItems: number
  readonly maxWaitingBytes: number
  /** What has waited so long for its group is refused: whoever sent it has given up. */
  readonly maxWaitMs: number
  /**
   * For what hardly anybody waits for: so long after a group the next one gathers, unless it is full
   * before. A statement and its commit cost more than the few items that come meanwhile.
   */
  readonly restMs?: number
}

type Waiting<Item, Result> = {
  readonly item: Item
  readonly bytes: number
  readonly timer: NodeJS.Timeout
  readonly resolve: (outcome: Result | Promise<Result>) => void
  readonly reject: (error: unknown) => void
}

export class GroupCommit<Item, Result> {
  readonly #options: GroupCommitOptions<Item, Result>
  #waiting: Waiting<Item, Result>[] = []
  #waitingBytes = 0
  #pumping: Promise<void> | undefined
  #endRest: (() => void) | undefined

  constructor(options: GroupCommitOptions<Item, Result>) {
    this.#options = options
  }

  /**
   * The item's outcome. Throws what `run` throws for its group, and `platform_unavailable` when too
   * much waits already, or for too long.
   */
  submit(item: Item): Promise<Result> {
    const bytes = this.#options.sizeOf(item)
    const { maxWaitingItems, maxWaitingBytes } = this.#options
    if (
      this.#waiting.length >= maxWaitingItems ||
      (this.#waiting.length > 0 && this.#waitingBytes + bytes > maxWaitingBytes)
    ) {
      return Promise.reject(overloaded('too much waits'))
    }
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    const timer = setTimeout(() => this.#giveUp(entry), this.#options.maxWaitMs)
    const entry: Waiting<Item, Result> = { item, bytes, timer, resolve, reject }
    this.#waiting.push(entry)
    this.#waitingBytes += bytes
    if (this.#isFull()) this.#endRest?.()
    this.#pumping ??= this.#pump()
    return promise
  }

  /** Somebody waits for what has gathered after all: it goes now. */
  hurry(): void {
    this.#endRest?.()
  }

  /** Resolves when nothing waits and no group is in flight. */
  async drain(): Promise<void> {
    while (this.#pumping !== undefined) await this.#pumping
  }

  async #pump(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#take()
      try {
        share(group, await this.#options.run(group.map(({ item }) => item)))
      } catch (error) {
        if (this.#isOneToBlame(group, error)) await this.#runEach(group)
        else for (const { reject } of group) reject(error)
      }
      if (this.#hasRest()) await this.#rest()
    }
    this.#pumping = undefined
  }

  #isOneToBlame(group: readonly unknown[], error: unknown): boolean {
    return group.length > 1 && this.#options.isOneToBlame?.(error) === true
  }

  async #runEach(group: readonly Waiting<Item, Result>[]): Promise<void> {
    for (const entry of group) {
      try {
        share([entry], await this.#options.run([entry.item]))
      } catch (error) {
        entry.reject(error)
      }
    }
  }

  #hasRest(): boolean {
    return this.#options.restMs !== undefined && !this.#isFull()
  }

  async #rest(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, this.#options.restMs)
    this.#endRest = resolve
    await promise
    clearTimeout(timer)
    this.#endRest = undefined
  }

  /** Whether what waits is a group that cannot grow. */
  #isFull(): boolean {
    const { maxGroupItems, maxGroupBytes } = this.#options
    return this.#waiting.length >= maxGroupItems || this.#waitingBytes >= maxGroupBytes
  }

  #take(): Waiting<Item, Result>[] {
    const { maxGroupItems, maxGroupBytes } = this.#options
    let count = 0
    let bytes = 0
    for (const entry of this.#waiting) {
      if (count === maxGroupItems || (count > 0 && bytes + entry.bytes > maxGroupBytes)) break
      count += 1
      bytes += entry.bytes
      clearTimeout(entry.timer)
    }
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }

  #giveUp(entry: Waiting<Item, Result>): void {
    const at = this.#waiting.indexOf(entry)
    if (at === -1) return
    this.#waiting.splice(at, 1)
    this.#waitingBytes -= entry.bytes
    entry.reject(overloaded('waited too long'))
  }
}

function share<Item, Result>(
  group: readonly Waiting<Item, Result>[],
  outcomes: readonly (Result | Promise<Result>)[],
): void {
  for (const [index, { resolve, reject }] of group.entries()) {
    const outcome = outcomes[index]
    if (outcome === undefined) reject(new Error('a group gave no outcome for an item'))
    else resolve(outcome)
  }
}

function overloaded(internal: string): AppError {
  return new AppError('platform_unavailable', { internal })
}
