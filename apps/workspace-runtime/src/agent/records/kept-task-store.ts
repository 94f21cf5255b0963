/**
 * @module Tasks in memory and on the disk (docs/adr/0039): what a client was told stays true after the
 * runtime was started again.
 */
import { type ListTasksRequest, type ListTasksResponse, type Task, TaskState } from '@a2a-js/sdk'
import type { TaskStore } from '@a2a-js/sdk/server'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { errorCodeOf } from '@atrium/http-kit/error-code'
import { AGENT_ERROR_PREFIX } from '@atrium/runtime-contract/agent-reply'
import type { Logger } from 'pino'
import { agentMessage, taskStatus, textPart } from '../a2a-objects.ts'
import { RecentTaskStore, type TaskLimits } from './recent-task-store.ts'
import type { RecordFolder } from './record-folder.ts'
import { parseTask, taskText } from './task-record.ts'
import { isActive, stateOf } from './task-states.ts'

/** What a turn says in between is written at most this often: the end is written at once. */
const PROGRESS_EVERY_MS = 1_000

export const RESTARTED_TEXT = `${AGENT_ERROR_PREFIX} the workspace was restarted while it worked on this; it was not begun again`

export type KeptTaskStoreDeps = {
  readonly folder: RecordFolder
  readonly limits: TaskLimits
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
}

type Kept = {
  /** As the disk has it, or is about to. */
  state: TaskState | undefined
  /** Writes of one task never overtake each other. */
  writing: Promise<void>
  timer: NodeJS.Timeout | undefined
}

export class KeptTaskStore implements TaskStore {
  readonly #deps: KeptTaskStoreDeps
  readonly #memory: RecentTaskStore
  readonly #kept = new Map<string, Kept>()
  readonly #active = new Set<string>()
  #idle = Promise.withResolvers<void>()

  constructor(deps: KeptTaskStoreDeps) {
    this.#deps = deps
    const onForgotten = (taskId: string): void => this.#forget(taskId)
    this.#memory = new RecentTaskStore(deps.limits, { clock: deps.clock, onForgotten })
  }

  /**
   * Reads what the last run has left. What it worked on has failed, and says so; what waits for its
   * user still waits. Never throws: what cannot be read is set aside.
   */
  async open(): Promise<void> {
    const tasks: Task[] = []
    const { folder } = this.#deps
    for await (const { name, text } of folder.open()) {
      const task = parseTask(name, text)
      if (task === undefined) await folder.setAside(name, 'not a task')
      else tasks.push(task)
    }
    tasks.sort((a, b) => timeOf(a) - timeOf(b))
    for (const task of tasks) {
      this.#kept.set(task.id, {
        state: stateOf(task),
        writing: Promise.resolve(),
        timer: undefined,
      })
      if (isActive(task)) await this.fail(task, RESTARTED_TEXT)
      else await this.#memory.save(task)
    }
  }

  load(taskId: string): Promise<Task | undefined> {
    return this.#memory.load(taskId)
  }

  list(params: ListTasksRequest): Promise<ListTasksResponse> {
    return this.#memory.list(params)
  }

  /** A change of state is on the disk before anybody can see it; more output is a little later. */
  async save(task: Task): Promise<void> {
    const kept = this.#kept.get(task.id) ?? this.#begin(task.id)
    const hasChanged = kept.state !== stateOf(task)
    if (this.#deps.folder.isUsable && hasChanged) {
      kept.state = stateOf(task)
      // That it is worked on need not survive the machine: it fails either way then.
      await this.#write(task, kept, kept.state !== TaskState.TASK_STATE_WORKING)
    }
    await this.#memory.save(task)
    this.#noteActivity(task)
    if (this.#deps.folder.isUsable && !hasChanged) {
      kept.timer ??= setTimeout(() => this.#writeLatest(task.id, kept), PROGRESS_EVERY_MS).unref()
    }
  }

  /** Ends a task that nobody works on any more, with words for its user. */
  async fail(task: Task, text: string): Promise<void> {
    const { id: taskId, contextId } = task
    const message = agentMessage(this.#deps, { taskId, contextId }, [textPart(text)])
    const status = taskStatus(this.#deps, TaskState.TASK_STATE_FAILED, message)
    await this.save({ ...task, status, history: [...task.history, message] })
  }

  /** Resolves when nothing that was begun has still to be ended, and all of it is written. */
  async settle(): Promise<void> {
    while (this.#active.size > 0) await this.#idle.promise
    await this.#flush()
  }

  #noteActivity(task: Task): void {
    if (isActive(task)) {
      this.#active.add(task.id)
      return
    }
    if (!this.#active.delete(task.id) || this.#active.size > 0) return
    this.#idle.resolve()
    this.#idle = Promise.withResolvers<void>()
  }

  async #flush(): Promise<void> {
    await Promise.all(
      [...this.#kept].map(([taskId, kept]) =>
        kept.timer === undefined ? kept.writing : this.#writeLatest(taskId, kept),
      ),
    )
  }

  #begin(taskId: string): Kept {
    const kept: Kept = { state: undefined, writing: Promise.resolve(), timer: undefined }
    this.#kept.set(taskId, kept)
    return kept
  }

  async #writeLatest(taskId: string, kept: Kept): Promise<void> {
    const task = await this.#memory.load(taskId)
    if (task !== undefined) await this.#write(task, kept, false)
  }

  /** Best effort, and never rejects: the task itself goes on from memory. */
  #write(task: Task, kept: Kept, isDurable: boolean): Promise<void> {
    clearTimeout(kept.timer)
    kept.timer = undefined
    const text = taskText(task)
    kept.writing = kept.writing.then(async () => {
      try {
        await this.#deps.folder.write(task.id, text, isDurable)
      } catch (error) {
        if (errorCodeOf(error) === undefined) throw error
        this.#deps.log.warn({ task_id: task.id, reason: errorCodeOf(error) }, 'tasks.not_kept')
      }
    })
    return kept.writing
  }

  #forget(taskId: string): void {
    const kept = this.#kept.get(taskId)
    if (kept === undefined) return
    clearTimeout(kept.timer)
    this.#kept.delete(taskId)
    kept.writing = kept.writing.then(() => this.#deps.folder.remove(taskId))
  }
}

function timeOf(task: Task): number {
  return Date.parse(task.status?.timestamp ?? '')
}
