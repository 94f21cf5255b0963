/** @module How often a workspace that dies may come back before a person has to look. */

const WINDOW_MS = 10 * 60_000
const MAX_RESTARTS = 5
const FIRST_DELAY_MS = 500

export type RestartVerdict =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'give_up'; readonly deaths: number }

/** Counts deaths per workspace within ten minutes; the delay doubles from half a second. */
export class RestartBudget {
  readonly #deaths = new Map<string, number[]>()

  /** Notes a death at `now` (epoch milliseconds) and says what follows. */
  note(workspaceId: string, now: number): RestartVerdict {
    const recent = (this.#deaths.get(workspaceId) ?? []).filter((at) => now - at < WINDOW_MS)
    recent.push(now)
    this.#deaths.set(workspaceId, recent)
    return recent.length > MAX_RESTARTS
      ? { kind: 'give_up', deaths: recent.length }
      : { kind: 'restart', delayMs: FIRST_DELAY_MS * 2 ** (recent.length - 1) }
  }

  forget(workspaceId: string): void {
    this.#deaths.delete(workspaceId)
  }
}
