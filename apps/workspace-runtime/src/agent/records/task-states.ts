/** @module Which tasks are over, and which only wait for somebody. */
import { type Task, TaskState } from '@a2a-js/sdk'

const TERMINAL: ReadonlySet<TaskState> = new Set([
  TaskState.TASK_STATE_COMPLETED,
  TaskState.TASK_STATE_FAILED,
  TaskState.TASK_STATE_CANCELED,
  TaskState.TASK_STATE_REJECTED,
])

const INTERRUPTED: ReadonlySet<TaskState> = new Set([
  TaskState.TASK_STATE_INPUT_REQUIRED,
  TaskState.TASK_STATE_AUTH_REQUIRED,
])

export function stateOf(task: Task): TaskState {
  return task.status?.state ?? TaskState.TASK_STATE_UNSPECIFIED
}

export function isTerminal(task: Task): boolean {
  return TERMINAL.has(stateOf(task))
}

/** Whether the agent works on it, or is going to: neither over nor waiting for its user. */
export function isActive(task: Task): boolean {
  return !isTerminal(task) && !INTERRUPTED.has(stateOf(task))
}
