/**
 * @module What a result or a stream event is about, told by its shape: an agent that advertises one
 * dialect and answers in the other is common (contract/a2a 2.4).
 */
import { isJsonObject, type JsonObject, type JsonValue } from './lossless-json.ts'
import { isInterrupted, isTerminal, readState, type TaskState } from './task-state.ts'

export type ResultKind = 'task' | 'message' | 'status' | 'artifact'

/** A result without its wrapper: what it is, and the object itself in the dialect it came in. */
export type ReadResult = { readonly kind: ResultKind; readonly value: JsonObject }

export type ResultFacts = {
  readonly kind: ResultKind
  /** Of a message: the task it belongs to, if it says so. */
  readonly taskId: string | undefined
  readonly contextId: string | undefined
  /** Undefined for messages and artifacts, and for a state that no dialect knows. */
  readonly state: TaskState | undefined
  /**
   * Whether a stream is complete with this event: a message, a terminal or an interrupted state, or
   * what a 0.3 agent called `final` (contract/a2a 1.5).
   */
  readonly isFinal: boolean
}

const KINDS: ReadonlyMap<string, ResultKind> = new Map([
  ['task', 'task'],
  ['message', 'message'],
  ['status-update', 'status'],
  ['artifact-update', 'artifact'],
])

// `msg` is what some agents make of the proto's name for a message (contract/a2a 1.5).
const WRAPPERS: readonly (readonly [string, ResultKind])[] = [
  ['task', 'task'],
  ['message', 'message'],
  ['msg', 'message'],
  ['statusUpdate', 'status'],
  ['artifactUpdate', 'artifact'],
]

function unwrap(result: JsonObject): ReadResult | undefined {
  for (const [name, kind] of WRAPPERS) {
    const value = result[name]
    if (isJsonObject(value)) return { kind, value }
  }
  return undefined
}

function bareKind(result: JsonObject): ResultKind | undefined {
  if (isJsonObject(result['artifact'])) return 'artifact'
  if (isJsonObject(result['status'])) return result['taskId'] === undefined ? 'task' : 'status'
  return Array.isArray(result['parts']) ? 'message' : undefined
}

/** Reads a result or an event of any dialect; undefined when it is none. */
export function readResult(result: JsonValue | undefined): ReadResult | undefined {
  if (!isJsonObject(result)) return undefined
  const { kind } = result
  const named = typeof kind === 'string' ? KINDS.get(kind) : undefined
  if (named !== undefined) return { kind: named, value: result }
  const wrapped = unwrap(result)
  if (wrapped !== undefined) return wrapped
  const bare = bareKind(result)
  return bare === undefined ? undefined : { kind: bare, value: result }
}

function text(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function stateOf({ status }: JsonObject): TaskState | undefined {
  return isJsonObject(status) ? readState(status['state']) : undefined
}

/** The facts about a result or an event of any dialect; undefined when it is none. */
export function factsOf(result: JsonValue | undefined): ResultFacts | undefined {
  const read = readResult(result)
  if (read === undefined) return undefined
  const { kind, value } = read
  const state = stateOf(value)
  const isSettled = state !== undefined && (isTerminal(state) || isInterrupted(state))
  return {
    kind,
    taskId: text(kind === 'task' ? value['id'] : value['taskId']),
    contextId: text(value['contextId']) ?? text(value['sessionId']),
    state,
    isFinal: kind === 'message' || isSettled || (kind === 'status' && value['final'] === true),
  }
}
