/** @module What an agent tells of a task as it goes on, for whoever follows it (contract/a2a 2.7). Pure. */
import { storableText } from './activity.ts'
import type { WorkspaceId } from './ids.ts'

/** How an agent speaks. */
export type AgentDialect = '0.3' | '1.0'

/** A task as its sender knows it: by the agent's id, or by that of the delivery when it has waited. */
export type TaskKey = { readonly workspaceId: WorkspaceId; readonly taskId: string }

/** One event of a task. */
export type StreamedEvent = {
  /** Its place among the events of its task; undefined: not kept, so nobody can come back to it. */
  readonly seq: number | undefined
  /** Whose event it is; undefined for a message, and for an error. */
  readonly taskId: string | undefined
  /** The JSON-RPC reply in the agent's own bytes, under whatever id the agent was asked. */
  readonly data: Buffer
  readonly dialect: AgentDialect
}

/** Events in their order. Ends with the stream; throws `AppError` when that breaks off. */
export type EventFlow = AsyncIterable<StreamedEvent> & {
  /** The reader has left; the task goes on. Idempotent. */
  close(): void
}

/** A longer id is nobody's: such a task is passed on and not kept. */
export const MAX_TASK_ID_LENGTH = 256

/** The cursor of an event: an `id` of server-sent events, which clients give back. */
export function cursorText(taskId: string, seq: number): string {
  return `${taskId}:${seq}`
}

/** The place that a client names in `Last-Event-ID`, when it is one of this task. */
export function cursorOf(text: string | undefined, taskId: string): number | undefined {
  if (text === undefined || !text.startsWith(`${taskId}:`)) return undefined
  const digits = text.slice(taskId.length + 1)
  return /^\d{1,15}$/.test(digits) ? Number(digits) : undefined
}

/** Whether an id may stand in a line of server-sent events, and in a notification. */
export function isKeepableTaskId(taskId: string): boolean {
  return taskId.length > 0 && taskId.length <= MAX_TASK_ID_LENGTH && /^[\x21-\x7e]+$/.test(taskId)
}

/** An agent's id of a task as it can be kept, to ask for it by; null when it cannot. */
export function storableTaskId(taskId: string | null): string | null {
  const isStorable = taskId !== null && taskId.length > 0 && taskId.length <= MAX_TASK_ID_LENGTH
  return isStorable && storableText(taskId) === taskId ? taskId : null
}
