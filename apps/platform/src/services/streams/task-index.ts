/**
 * @module What is known of tasks, written down for who asks for a list of them: many in one statement,
 * and nobody waits for it. A task that was not written is missing from a list, and nothing else.
 */
import type { JsonObject } from '@atrium/a2a-schema/lossless-json'
import { isTerminal, readState } from '@atrium/a2a-schema/task-state'
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { Sql } from '../../db/client.ts'
import { isContentRefused, loggableDatabaseError } from '../../db/db-error.ts'
import { type TaskRow, writeTasks } from '../../db/task-store.ts'
import { storableText } from '../../domain/activity.ts'
import {
  type AgentDialect,
  isKeepableTaskId,
  storableTaskId,
  type TaskKey,
} from '../../domain/task-stream.ts'
import { GroupCommit } from '../group-commit.ts'
import { foldTask } from './fold-task.ts'
import type { StreamNews } from './task-streams.ts'
import { nameOf } from './task-tails.ts'

/** A larger task is listed without its contents until its agent is asked. */
const MAX_SNAPSHOT_BYTES = 256 * 1024
/** Tasks whose streams are followed at the moment. */
const MAX_FOLDED = 10_000

export type IndexDeps = { readonly sql: Sql; readonly clock: Clock; readonly log: Logger }

export type KnownTask = {
  readonly key: TaskKey
  readonly upstreamTaskId: string | null
  readonly deliveryId: string | null
  readonly sender: string
  /** Without a wrapper, in `dialect`, under the name by which its sender knows it. */
  readonly task: JsonObject
  readonly dialect: AgentDialect
}

export class TaskIndex {
  readonly #deps: IndexDeps
  readonly #writes: GroupCommit<TaskRow, true>
  readonly #folded = new Map<string, { readonly task: JsonObject; readonly bytes: number }>()
  #latest: Promise<void> = Promise.resolve()
  #isFailing = false

  constructor(deps: IndexDeps) {
    this.#deps = deps
    this.#writes = new GroupCommit<TaskRow, true>({
      run: async (tasks) => {
        // The last word about each.
        const last = new Map(tasks.map((task) => [nameOf(task), task]))
        await writeTasks(deps.sql, [...last.values()])
        return tasks.map(() => true)
      },
      isOneToBlame: isContentRefused,
      sizeOf: ({ snapshot }) => 512 + (snapshot?.length ?? 0),
      ...{ maxGroupItems: 200, maxGroupBytes: 4 * 1024 * 1024 },
      ...{ maxWaitingItems: 5_000, maxWaitingBytes: 32 * 1024 * 1024, maxWaitMs: 10_000 },
      restMs: 100,
    })
  }

  /** Notes how a task stands. Returns at once. */
  note(known: KnownTask): void {
    const row = this.#rowOf(known)
    if (row === undefined) return
    this.#latest = this.#writes.submit(row).then(
      () => {
        this.#isFailing = false
      },
      (error: unknown) => {
        // Once per outage: the next status of the task is written again.
        if (!this.#isFailing) {
          this.#deps.log.warn({ err: loggableDatabaseError(error) }, 'tasks.note_failed')
        }
        this.#isFailing = true
      },
    )
  }

  /** Resolves when all that was noted here until now is written, or has failed. */
  async whenWritten(): Promise<void> {
    this.#writes.hurry()
    await this.#latest
  }

  /** What the events of a stream make of its task. */
  noteNews({ key, upstreamTaskId, sender, dialect, event }: StreamNews): void {
    const name = nameOf(key)
    const folded = this.#folded.get(name)
    const task = foldTask(folded?.task, event)
    if (task === undefined) return
    const bytes = (folded?.bytes ?? 0) + event.data.length
    const isOver = event.isLast || (event.state !== undefined && isTerminal(event.state))
    if (isOver || bytes > MAX_SNAPSHOT_BYTES) this.#folded.delete(name)
    else if (folded !== undefined || this.#folded.size < MAX_FOLDED) {
      this.#folded.set(name, { task, bytes })
    }
    if (event.kind === 'artifact') return
    const named = { ...task, id: key.taskId }
    this.note({ key, upstreamTaskId, deliveryId: null, sender, task: named, dialect })
  }

  /** Resolves when nothing waits to be written. */
  async drain(): Promise<void> {
    await this.#writes.drain()
  }

  #rowOf({ key, task, ...known }: KnownTask): TaskRow | undefined {
    const { status, contextId } = task
    const state = stateOf(status)
    if (state === undefined || !isKeepableTaskId(key.taskId)) return undefined
    const now = this.#deps.clock.now()
    const snapshot = Buffer.from(JSON.stringify(task))
    return {
      ...key,
      ...known,
      upstreamTaskId: storableTaskId(known.upstreamTaskId),
      contextId: typeof contextId === 'string' ? storableText(contextId.slice(0, 500)) : null,
      state,
      statusAt: timeOf(status, now),
      snapshot: snapshot.length <= MAX_SNAPSHOT_BYTES ? snapshot : null,
      updatedAt: now,
    }
  }
}

function fieldOf(status: unknown, name: string): unknown {
  return typeof status === 'object' && status !== null
    ? Object.entries(status).find(([key]) => key === name)?.[1]
    : undefined
}

function stateOf(status: unknown): string | undefined {
  const state = fieldOf(status, 'state')
  return typeof state === 'string' || typeof state === 'number' ? readState(state) : undefined
}

/** Of an agent whose clock is wrong, its own time; of one that says none, ours. */
function timeOf(status: unknown, now: Date): Date {
  const text = fieldOf(status, 'timestamp')
  const at = typeof text === 'string' ? new Date(text).getTime() : Number.NaN
  // What no database has a date for is none; nobody's status is of the future.
  return at >= 0 && at <= now.getTime() ? new Date(at) : now
}
