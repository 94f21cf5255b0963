/** @module How often something that dies may come back before a person has to look. */

const WINDOW_MS = 10 * 60_000
const MAX_RESTARTS = 5
const FIRST_DELAY_MS = 500

export type RestartVerdict =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'give_up'; readonly deaths: number }

/**
 * Counts deaths per name (a workspace, the database) within ten minutes; the delay doubles from half
 * a second.
 */
export class RestartBudget {
  readonly #deaths = new Map<string, number[]>()

  /** Notes a death at `now` (epoch milliseconds) and says what follows. */
  note(name: string, now: number): RestartVerdict {
    const recent = (this.#deaths.get(name) ?? []).filter((at) => now - at < WINDOW_MS)
    recent.push(now)
    this.#deaths.set(name, recent)
    return recent.length > MAX_RESTARTS
      ? { kind: 'give_up', deaths: recent.length }
      : { kind: 'restart', delayMs: FIRST_DELAY_MS * 2 ** (recent.length - 1) }
  }

  forget(name: string): void {
    this.#deaths.delete(name)
  }
}
