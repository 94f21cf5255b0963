/**
 * @module Look-ups that every request makes: those that are asked for while one of their kind is in
 * flight ride together in the next one, as a single statement. Nothing is remembered: every answer is
 * from a statement that began after its question.
 */
import type { Db } from './client.ts'

/** The rows of these keys, by key; one statement. */
type AskAll<Row> = (db: Db, keys: readonly string[]) => Promise<ReadonlyMap<string, Row>>

const MAX_KEYS = 500
/** Whoever has waited so long behind another look-up goes without its answer: a connection may hang. */
const PATIENCE_MS = 250

/**
 * Finds the row of a key, undefined when there is none. The first of a quiet time goes at once. What
 * fails a statement fails each who rides in it. A transaction is a `Db` of its own, and
 * rides with nobody.
 */
export function sharedLookup<Row>(
  ask: AskAll<Row>,
): (db: Db, key: string) => Promise<Row | undefined> {
  const queues = new WeakMap<Db, LookupQueue<Row>>()
  return async (db, key) => {
    const queue = queues.get(db) ?? new LookupQueue((keys) => ask(db, keys))
    queues.set(db, queue)
    return await queue.find(key)
  }
}

type Waiting<Row> = {
  readonly resolve: (row: Row | undefined) => void
  readonly reject: (error: unknown) => void
}

export class LookupQueue<Row> {
  readonly #ask: (keys: readonly string[]) => Promise<ReadonlyMap<string, Row>>
  readonly #patienceMs: number
  #waiting = new Map<string, Waiting<Row>[]>()
  /** The one in flight that the next one waits for. */
  #current: object | undefined
  #patience: NodeJS.Timeout | undefined

  constructor(
    ask: (keys: readonly string[]) => Promise<ReadonlyMap<string, Row>>,
    patienceMs = PATIENCE_MS,
  ) {
    this.#ask = ask
    this.#patienceMs = patienceMs
  }

  find(key: string): Promise<Row | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Row | undefined>()
    const alike = this.#waiting.get(key)
    if (alike === undefined) this.#waiting.set(key, [{ resolve, reject }])
    else alike.push({ resolve, reject })
    if (this.#current === undefined) void this.#send()
    else this.#patience ??= setTimeout(() => void this.#send(), this.#patienceMs)
    return promise
  }

  /** Never rejects. */
  async #send(): Promise<void> {
    clearTimeout(this.#patience)
    this.#patience = undefined
    const group = this.#take()
    this.#current = group
    try {
      const rows = await this.#ask([...group.keys()])
      for (const [key, alike] of group) for (const { resolve } of alike) resolve(rows.get(key))
    } catch (error) {
      for (const alike of group.values()) for (const { reject } of alike) reject(error)
    }
    // Nobody waits any more for one that was overtaken.
    if (this.#current !== group) return
    this.#current = undefined
    if (this.#waiting.size > 0) void this.#send()
  }

  #take(): Map<string, Waiting<Row>[]> {
    const all = this.#waiting
    if (all.size <= MAX_KEYS) {
      this.#waiting = new Map()
      return all
    }
    const keys = [...all.keys()].slice(0, MAX_KEYS)
    const group = new Map(keys.map((key) => [key, all.get(key) ?? []]))
    for (const key of keys) all.delete(key)
    return group
  }
}
