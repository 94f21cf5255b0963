/** @module Tasks that the gateway itself answers with (contract/a2a 2.8). */
import type { JsonObject, JsonValue } from './lossless-json.ts'
import type { SpokenDialect } from './method.ts'
import type { TaskState } from './task-state.ts'
import { bareTaskTo, translateEvent } from './translate/event.ts'
import { messageToV10 } from './translate/message.ts'

export type SyntheticTask = {
  readonly taskId: string
  readonly contextId: string
  readonly state: TaskState
  /** When the task got into this state. */
  readonly at: Date
  /** Tells a person why the task is in its state: written as a message of the agent. */
  readonly explanation?: string
  readonly metadata?: JsonObject
}

function explanationOf(task: SyntheticTask): JsonObject {
  const { explanation, taskId, contextId } = task
  if (explanation === undefined) return {}
  const message = {
    // Asked twice, the task answers with the same message.
    messageId: `${taskId}-${task.state.toLowerCase()}`,
    role: 'ROLE_AGENT',
    parts: [{ text: explanation }],
    taskId,
    contextId,
  }
  return { message }
}

function taskInV10(task: SyntheticTask): JsonObject {
  const { taskId, contextId, state, at, metadata } = task
  return {
    id: taskId,
    contextId,
    status: { state, ...explanationOf(task), timestamp: at.toISOString() },
    ...(metadata === undefined ? {} : { metadata }),
  }
}

/** The task as the dialect writes it, not wrapped: what get and cancel answer. */
export function syntheticTask(task: SyntheticTask, dialect: SpokenDialect): JsonObject {
  return bareTaskTo(taskInV10(task), dialect)
}

/**
 * The task as send answers it and as a stream begins: 1.0 wraps it. To a message that waits this is the
 * answer: a bare object instead breaks every client there is (contract/a2a 0.5).
 */
export function syntheticResult(task: SyntheticTask, dialect: SpokenDialect): JsonValue {
  return translateEvent({ task: taskInV10(task) }, '1.0', dialect) ?? null
}

/**
 * The completed task that a bare message is the answer of: for a caller that asks for the task of a
 * send which an agent answered without one. The message may be of any dialect.
 */
export function taskFromMessage(
  message: JsonObject,
  task: Omit<SyntheticTask, 'state' | 'explanation'>,
  dialect: SpokenDialect,
): JsonObject {
  const bare = taskInV10({ ...task, state: 'TASK_STATE_COMPLETED' })
  const status = {
    state: 'TASK_STATE_COMPLETED',
    message: messageToV10(message),
    timestamp: task.at.toISOString(),
  }
  return bareTaskTo({ ...bare, status }, dialect)
}
