/** @module The rows of a workspace's activity in order, from where this machine was (contract/platform 5.1). */
import { z } from 'zod'
import { CliFailure, EXIT } from '../failure.ts'
import type { Cursor } from './connect-state.ts'
import { type ActivityRow, activityRow } from './inbound-message.ts'
import type { PlatformLink } from './platform-link.ts'

const WAIT_SECONDS = 50
/** A platform that cannot wait answers at once: it is not asked again in the same moment. */
const SLOW_POLL_MS = 3_000
const TYPE = 'a2a_receive'

/** After a row; after what was acknowledged under a name; `start`: after none. */
export type FeedPlace = { readonly id: string } | { readonly cursor: string } | 'start'

export type Page = {
  readonly limit: number
  readonly isWaiting: boolean
  readonly signal: AbortSignal
}

/** Thrown when the platform does not know the row after which it should go on. */
export class CursorGone extends Error {}

export class Feed {
  readonly #link: PlatformLink
  readonly #segments: readonly string[]

  constructor(link: PlatformLink, workspaceId: string) {
    this.#link = link
    this.#segments = ['workspaces', workspaceId, 'activity']
  }

  /** The newest row of any kind, or null when there is none. */
  async newest(signal: AbortSignal): Promise<Cursor | null> {
    const [row] = await this.#read({ limit: '1' }, { limit: 1, isWaiting: false, signal })
    return row === undefined ? null : { id: row.id, at: row.created_at }
  }

  /** Messages and the like from before, newest first; for counting. */
  async earlier(signal: AbortSignal): Promise<ActivityRow[]> {
    return this.#read({ type: TYPE, limit: '100' }, { limit: 100, isWaiting: false, signal })
  }

  /** The next rows after a place; none when nothing came in time. Throws `CursorGone`. */
  async after(place: FeedPlace, page: Page): Promise<ActivityRow[]> {
    const query = {
      type: TYPE,
      limit: String(page.limit),
      ...placeQuery(place),
      ...(page.isWaiting ? { wait: String(WAIT_SECONDS) } : {}),
    }
    try {
      return await this.#read(query, page)
    } catch (thrown) {
      const isGone = thrown instanceof CliFailure && thrown.facts.status === 410
      throw isGone ? new CursorGone() : thrown
    }
  }

  get slowPollMs(): number {
    return SLOW_POLL_MS
  }

  async #read(query: Readonly<Record<string, string>>, page: Page): Promise<ActivityRow[]> {
    const answer = await this.#link.json(
      {
        method: 'GET',
        segments: this.#segments,
        query,
        headersTimeoutMs: (WAIT_SECONDS + 15) * 1000,
      },
      { signal: page.signal, isRequestCutShort: true },
    )
    const rows = z.array(activityRow).safeParse(answer)
    if (rows.success) return rows.data
    throw new CliFailure(EXIT.failed, 'the platform answered with something unexpected')
  }
}

function placeQuery(place: FeedPlace): Readonly<Record<string, string>> {
  if (place === 'start') return { from: 'start' }
  return { since_id: 'id' in place ? place.id : `@${place.cursor}` }
}
