/** @module How long to wait before asking again somebody who did not answer. */
import type { Clock, Ids } from '@atrium/http-kit/clock'

const FIRST_MS = 500
const LONGEST_MS = 30_000

/** Doubles from half a second to half a minute; a random half of it keeps many clients apart. */
export class Backoff {
  readonly #deps: { readonly clock: Clock; readonly ids: Ids }
  #failures = 0

  constructor(deps: { readonly clock: Clock; readonly ids: Ids }) {
    this.#deps = deps
  }

  succeeded(): void {
    this.#failures = 0
  }

  /** The next wait, at least what the other side asked for. */
  nextMs(askedMs = 0): number {
    const fullMs = Math.min(FIRST_MS * 2 ** this.#failures, LONGEST_MS)
    this.#failures = Math.min(this.#failures + 1, 10)
    const share = Number.parseInt(this.#deps.ids.hex(2), 16) / 0xffff
    return Math.max(Math.round(fullMs * (0.5 + share / 2)), askedMs)
  }
}
