/**
 * @module Tasks in memory, the recent ones only. The SDK's own store never forgets one
 * (contract/a2a 3), and a runtime lives for weeks.
 */
import { serialize } from 'node:v8'
import type { ListTasksRequest, ListTasksResponse } from '@a2a-js/sdk'
import { type Task, TaskState } from '@a2a-js/sdk'
import { RequestMalformedError } from '@a2a-js/sdk/errors'
import type { TaskStore } from '@a2a-js/sdk/server'
import type { Clock } from '@atrium/http-kit/clock'
import { isActive } from './task-states.ts'

const DEFAULT_PAGE_SIZE = 50

type Entry = { readonly task: Task; readonly bytes: number }

export type TaskLimits = {
  readonly maxTasks: number
  readonly maxBytes: number
  /** Since the last change of its status. */
  readonly maxAgeMs: number
}

export type RecentTaskStoreDeps = {
  readonly clock: Pick<Clock, 'now'>
  /** A task was forgotten. */
  readonly onForgotten: (taskId: string) => void
}

/**
 * One caller, the platform: tasks are not divided by user. One that is worked on is never dropped;
 * one that waits for its user is, like one that is over: nobody may ever come back to it.
 */
export class RecentTaskStore implements TaskStore {
  readonly #limits: TaskLimits
  readonly #deps: RecentTaskStoreDeps
  /** Oldest change first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  constructor(limits: TaskLimits, deps: RecentTaskStoreDeps) {
    this.#limits = limits
    this.#deps = deps
  }

  async load(taskId: string): Promise<Task | undefined> {
    const entry = this.#entries.get(taskId)
    return entry === undefined ? undefined : structuredClone(entry.task)
  }

  async save(task: Task): Promise<void> {
    this.#drop(task.id)
    const bytes = sizeOf(task)
    this.#entries.set(task.id, { task: structuredClone(task), bytes })
    this.#bytes += bytes
    this.#forgetOldest(task.id)
  }

  async list(params: ListTasksRequest): Promise<ListTasksResponse> {
    const pageSize = params.pageSize ?? DEFAULT_PAGE_SIZE
    const matching = [...this.#entries.values()]
      .map(({ task }) => task)
      .filter((task) => matches(task, params))
      .sort(byLatestStatus)
    const start = params.pageToken === '' ? 0 : startAfter(matching, params.pageToken)
    const page = matching.slice(start, start + pageSize)
    const last = page.at(-1)
    return {
      tasks: page.map((task) => copyOf(task, params.includeArtifacts === true)),
      nextPageToken: last !== undefined && start + pageSize < matching.length ? last.id : '',
      pageSize,
      totalSize: matching.length,
    }
  }

  #forgetOldest(justSaved: string): void {
    const oldestMs = this.#deps.clock.now().getTime() - this.#limits.maxAgeMs
    for (const [id, { task }] of this.#entries) {
      const isOver =
        this.#entries.size > this.#limits.maxTasks || this.#bytes > this.#limits.maxBytes
      // Oldest change first: the first that is young enough ends the search.
      if (!isOver && Date.parse(timestampOf(task)) >= oldestMs) return
      if (id === justSaved || isActive(task)) continue
      this.#drop(id)
      this.#deps.onForgotten(id)
    }
  }

  #drop(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    this.#bytes -= entry.bytes
  }
}

/** All of it, as it lies in memory: who sends a message chooses the size of every member. */
function sizeOf(task: Task): number {
  return serialize(task).byteLength
}

function matches(task: Task, params: ListTasksRequest): boolean {
  if (params.contextId !== '' && task.contextId !== params.contextId) return false
  const isAnyState =
    params.status === undefined || params.status === TaskState.TASK_STATE_UNSPECIFIED
  if (!isAnyState && task.status?.state !== params.status) return false
  const after = params.statusTimestampAfter
  return after === undefined || after === '' || Date.parse(timestampOf(task)) > Date.parse(after)
}

function timestampOf(task: Task): string {
  return task.status?.timestamp ?? ''
}

/** ISO 8601 in UTC sorts as text; the id decides between equals, so that pages do not overlap. */
function byLatestStatus(a: Task, b: Task): number {
  return timestampOf(b).localeCompare(timestampOf(a)) || b.id.localeCompare(a.id)
}

function startAfter(tasks: readonly Task[], pageToken: string): number {
  const index = tasks.findIndex((task) => task.id === pageToken)
  if (index < 0) throw new RequestMalformedError('pageToken is not known')
  return index + 1
}

function copyOf(task: Task, includeArtifacts: boolean): Task {
  return structuredClone(includeArtifacts ? task : { ...task, artifacts: [] })
}
