/** @module How far this computer has come, kept by the platform for the next one (ADR-0038). */
import { CliFailure } from '../failure.ts'
import type { Cursor } from './connect-state.ts'
import type { PlatformLink } from './platform-link.ts'

export class Bookmark {
  readonly cursor: string
  readonly #link: PlatformLink
  readonly #workspaceId: string
  readonly #signal: AbortSignal
  #wanted: string | undefined
  #said: string | undefined
  #saying: Promise<void> | undefined

  /** `signal` ends the waiting for a platform that is away. */
  constructor(
    link: PlatformLink,
    place: { readonly workspaceId: string; readonly cursor: string; readonly signal: AbortSignal },
  ) {
    this.#link = link
    this.#workspaceId = place.workspaceId
    this.#signal = place.signal
    this.cursor = place.cursor
  }

  /**
   * Resolves when the platform knows that everything up to the row is done; several calls share a
   * request. Throws what the platform refuses for good.
   */
  reach(row: Cursor | null): Promise<void> {
    if (row !== null) this.#wanted = row.id
    this.#saying ??= this.#sayAll().finally(() => {
      this.#saying = undefined
    })
    return this.#saying
  }

  async #sayAll(): Promise<void> {
    while (this.#wanted !== undefined && this.#said !== this.#wanted) {
      const id = this.#wanted
      await this.#say(id)
      this.#said = id
    }
  }

  async #say(id: string): Promise<void> {
    try {
      await this.#link.json(
        {
          method: 'POST',
          segments: ['workspaces', this.#workspaceId, 'activity', 'ack'],
          json: { cursor: this.cursor, id },
        },
        { signal: this.#signal },
      )
    } catch (thrown) {
      // Deleted by age while it was worked on: the next one moves the cursor past it.
      if (!(thrown instanceof CliFailure && thrown.facts.status === 410)) throw thrown
    }
  }
}
