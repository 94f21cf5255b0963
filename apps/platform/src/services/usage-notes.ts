/**
 * @module Token usage, added up while its row is being written: however many answers come at once,
 * a workspace's day has one statement of a replica at its row.
 */
import type { Db } from '../db/client.ts'
import { addUsage } from '../db/usage-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { TokenUsage } from '../domain/token-usage.ts'
import type { TaskTracker } from './task-tracker.ts'

export type UsageNotesDeps = { readonly db: Db; readonly tracker: TaskTracker }

type Note = Parameters<typeof addUsage>[1]

export class UsageNotes {
  readonly #deps: UsageNotesDeps
  /** By workspace and day, while something of it is being written: what has come meanwhile. */
  readonly #since = new Map<string, Note | undefined>()

  constructor(deps: UsageNotesDeps) {
    this.#deps = deps
  }

  /** In the background; what comes while a note is written is one note more. */
  note(workspaceId: WorkspaceId, usage: TokenUsage, now: Date): void {
    const day = now.toISOString().slice(0, 10)
    const key = `${workspaceId} ${day}`
    const note = { workspaceId, day, ...usage, answers: 1 }
    if (this.#since.has(key)) this.#since.set(key, sumOf(note, this.#since.get(key)))
    else this.#start(key, note)
  }

  #start(key: string, note: Note): void {
    this.#since.set(key, undefined)
    this.#deps.tracker.run(() => this.#write(key, note))
  }

  async #write(key: string, note: Note): Promise<void> {
    try {
      // Of a workspace that was deleted meanwhile nobody will ask.
      await addUsage(this.#deps.db, note)
    } finally {
      const next = this.#since.get(key)
      this.#since.delete(key)
      if (next !== undefined) this.#start(key, next)
    }
  }
}

function sumOf(note: Note, to: Note | undefined): Note {
  if (to === undefined) return note
  return {
    ...note,
    inputTokens: note.inputTokens + to.inputTokens,
    outputTokens: note.outputTokens + to.outputTokens,
    answers: note.answers + to.answers,
  }
}
