/**
 * @module Who follows tasks whose events another replica reads, and what wakes them: a notification,
 * or one look now and then for all of them together.
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { DatabaseClient, Sql } from '../../db/client.ts'
import { loggableDatabaseError } from '../../db/db-error.ts'
import {
  streamsWithNews,
  TASK_EVENTS_CHANNEL,
  taskOfNotification,
} from '../../db/task-event-store.ts'
import type { TaskKey } from '../../domain/task-stream.ts'

/** Looked for at least so often, whatever is notified. */
const LOOK_EVERY_MS = 5_000

export type TailDeps = {
  readonly sql: Sql
  readonly listen: DatabaseClient['listen']
  readonly clock: Clock
  readonly log: Logger
}

export type Watch = {
  /** Resolves when there may be news since the last time, or `signal` is aborted. */
  rung(): Promise<void>
  close(): void
}

type Watcher = { readonly key: TaskKey; readonly seq: () => number; readonly ring: () => void }

export class TaskTails {
  readonly #deps: TailDeps
  readonly #watchers = new Map<string, Set<Watcher>>()

  constructor(deps: TailDeps) {
    this.#deps = deps
  }

  start(): void {
    const { listen, log } = this.#deps
    listen(TASK_EVENTS_CHANNEL, {
      payload: (payload) => {
        const key = taskOfNotification(payload)
        if (key !== undefined) this.ring(key)
      },
      // What was told while nobody listened is not told again.
      listening: () => {
        for (const watchers of this.#watchers.values()) for (const each of watchers) each.ring()
      },
      failed: (error) =>
        log.warn({ err: loggableDatabaseError(error) }, 'task_events.listen_failed'),
    })
  }

  /** Looks for everybody, until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps
    let isFailing = false
    while (!signal.aborted) {
      // Aborted at the end, which the loop looks at.
      await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
      try {
        if (!signal.aborted) await this.#look()
        isFailing = false
      } catch (error) {
        // Once per outage: the next turn looks again.
        if (!isFailing) log.warn({ err: loggableDatabaseError(error) }, 'task_events.look_failed')
        isFailing = true
      }
    }
  }

  /** `seq`: how far the follower has come. */
  watch(key: TaskKey, seq: () => number, signal: AbortSignal): Watch {
    let hasRung = false
    let wake: (() => void) | undefined
    const watcher: Watcher = {
      key,
      seq,
      ring: () => {
        hasRung = true
        wake?.()
      },
    }
    const name = nameOf(key)
    const watchers = this.#watchers.get(name) ?? new Set()
    this.#watchers.set(name, watchers.add(watcher))
    signal.addEventListener('abort', watcher.ring, { once: true })
    return {
      async rung() {
        if (!hasRung && !signal.aborted) {
          const { promise, resolve } = Promise.withResolvers<void>()
          wake = resolve
          await promise
        }
        hasRung = false
      },
      close: () => {
        signal.removeEventListener('abort', watcher.ring)
        watchers.delete(watcher)
        if (watchers.size === 0 && this.#watchers.get(name) === watchers) {
          this.#watchers.delete(name)
        }
      },
    }
  }

  ring(key: TaskKey): void {
    for (const { ring } of this.#watchers.get(nameOf(key)) ?? []) ring()
  }

  async #look(): Promise<void> {
    const followed = [...this.#watchers.values()].flatMap((watchers) =>
      [...watchers].map(({ key, seq }) => ({ ...key, seq: seq() })),
    )
    if (followed.length === 0) return
    for (const key of await streamsWithNews(this.#deps.sql, followed)) this.ring(key)
  }
}

export function nameOf(key: TaskKey): string {
  return `${key.workspaceId} ${key.taskId}`
}
