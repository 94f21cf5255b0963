/** @module How often something that dies may come back before a person has to look. */

const WINDOW_MS = 10 * 60_000
const MAX_RESTARTS = 5
const FIRST_DELAY_MS = 500

export type RestartVerdict =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'give_up'; readonly deaths: number }

export type Judgement = {
  readonly verdict: RestartVerdict
  /** What has to be remembered, oldest first: never more than the budget allows plus one. */
  readonly deaths: readonly number[]
}

/**
 * Judges a death at `now` after the earlier ones (epoch milliseconds): within ten minutes five come
 * back, with a delay that doubles from `firstDelayMs`.
 */
export function judgeDeath(
  earlier: readonly number[],
  now: number,
  firstDelayMs: number = FIRST_DELAY_MS,
): Judgement {
  const recent = earlier.filter((at) => now - at < WINDOW_MS)
  const deaths = [...recent, now].slice(-(MAX_RESTARTS + 1))
  const verdict: RestartVerdict =
    deaths.length > MAX_RESTARTS
      ? { kind: 'give_up', deaths: deaths.length }
      : { kind: 'restart', delayMs: firstDelayMs * 2 ** (deaths.length - 1) }
  return { verdict, deaths }
}

/** The budget of something that has no row to remember its deaths in (the embedded database). */
export class RestartBudget {
  readonly #deaths = new Map<string, readonly number[]>()

  /** Notes a death at `now` (epoch milliseconds) and says what follows. */
  note(name: string, now: number): RestartVerdict {
    const { verdict, deaths } = judgeDeath(this.#deaths.get(name) ?? [], now)
    this.#deaths.set(name, deaths)
    return verdict
  }

  forget(name: string): void {
    this.#deaths.delete(name)
  }
}
