/** @module That a workspace has spoken (contract/platform 4.11), written ten times a second at most. */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../db/client.ts'
import { recordUse } from '../db/workspace-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { TaskTracker } from './task-tracker.ts'

/** A note is a commit, and takes the lock of the workspace's row from those who write its log. */
const REST_MS = 100

export type OutboundNotesDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly tracker: TaskTracker
}

export class OutboundNotes {
  readonly #deps: OutboundNotesDeps
  /** Written a moment ago, or being written: whether it has spoken again meanwhile. */
  readonly #writing = new Map<WorkspaceId, { again: boolean }>()

  constructor(deps: OutboundNotesDeps) {
    this.#deps = deps
  }

  /** In the background; what comes soon after a note is one note more. */
  note(id: WorkspaceId): void {
    const writing = this.#writing.get(id)
    if (writing !== undefined) {
      writing.again = true
      return
    }
    this.#deps.tracker.run(() => this.#write(id))
  }

  async #write(id: WorkspaceId): Promise<void> {
    const turn = { again: false }
    this.#writing.set(id, turn)
    try {
      do {
        turn.again = false
        await recordUse(this.#deps.db, { id, now: this.#deps.clock.now(), isOutbound: true })
        await this.#deps.clock.sleep(REST_MS)
      } while (turn.again)
    } finally {
      this.#writing.delete(id)
    }
  }
}
