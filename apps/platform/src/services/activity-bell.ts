/**
 * @module Who waits for the next activity of a workspace, and what wakes them: a notification of the
 * database, whichever replica wrote the row. A hint only: whoever waits also looks by itself.
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Logger } from 'pino'
import { ACTIVITY_CHANNEL } from '../db/activity-store.ts'
import type { DatabaseClient } from '../db/client.ts'
import { loggableDatabaseError } from '../db/db-error.ts'
import type { WorkspaceId } from '../domain/ids.ts'

/** Of one workspace: each looks into the database when it is rung. */
export const MAX_ROPES = 64

export type BellRope = {
  /** Whether it rang since the last call. */
  take(): boolean
  /** Aborted by the next ring, so that a sleep can be cut short. */
  readonly signal: AbortSignal
  close(): void
}

export class ActivityBell {
  readonly #listen: DatabaseClient['listen']
  readonly #log: Logger
  readonly #ropes = new Map<string, Set<() => void>>()
  #isListening = false

  constructor(deps: { readonly listen: DatabaseClient['listen']; readonly log: Logger }) {
    this.#listen = deps.listen
    this.#log = deps.log
  }

  /**
   * Every change after this call is heard, or seen by who looks after it. Throws `too_many_waits`.
   */
  hold(workspaceId: WorkspaceId): BellRope {
    if (!this.#isListening) this.#start()
    const ropes = this.#ropes.get(workspaceId) ?? new Set()
    if (ropes.size >= MAX_ROPES) throw new AppError('too_many_waits')
    let ring = new AbortController()
    const onRing = (): void => ring.abort()
    this.#ropes.set(workspaceId, ropes.add(onRing))
    return {
      get signal() {
        return ring.signal
      },
      take() {
        const hasRung = ring.signal.aborted
        if (hasRung) ring = new AbortController()
        return hasRung
      },
      close: () => {
        ropes.delete(onRing)
        if (ropes.size === 0 && this.#ropes.get(workspaceId) === ropes) {
          this.#ropes.delete(workspaceId)
        }
      },
    }
  }

  #start(): void {
    this.#isListening = true
    this.#listen(ACTIVITY_CHANNEL, {
      payload: (workspaceId) => this.#ring(workspaceId),
      // What was said while nobody listened is not told again.
      listening: () => {
        for (const workspaceId of this.#ropes.keys()) this.#ring(workspaceId)
      },
      // Waiting goes on by looking.
      failed: (error) => {
        this.#log.warn({ err: loggableDatabaseError(error) }, 'activity.bell_silent')
      },
    })
  }

  #ring(workspaceId: string): void {
    for (const onRing of this.#ropes.get(workspaceId) ?? []) onRing()
  }
}
