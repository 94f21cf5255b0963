/** @module One event of an agent's stream: what it is about, told by its shape. Pure. */
import { isJsonObject, type JsonObject, parseLossless } from '@atrium/a2a-schema/lossless-json'
import { factsOf, type ReadResult, readResult } from '@atrium/a2a-schema/result-facts'
import { isInterrupted, isTerminal, type TaskState } from '@atrium/a2a-schema/task-state'
import { AppError } from '@atrium/http-kit/app-error'
import type { DispatchOutcome } from '../../domain/delivery.ts'
import type { AgentDialect } from '../../domain/task-stream.ts'

/** JSON-RPC's code for what went wrong on our side of an agent. */
const INTERNAL_ERROR = -32603

export type StreamEvent = {
  readonly data: Buffer
  /** `other`: of a shape that nobody specified, for whoever understands it. */
  readonly kind: 'task' | 'message' | 'status' | 'artifact' | 'error' | 'other'
  readonly taskId: string | undefined
  readonly contextId: string | undefined
  readonly state: TaskState | undefined
  /** The event itself, without envelope and wrapper; of an error the error. */
  readonly value: JsonObject
  /** No other comes after it, whether or not the agent ends its stream. */
  readonly isLast: boolean
}

/** Throws `workspace_invalid_response` for what is no JSON object. */
export function readStreamEvent(data: Buffer): StreamEvent {
  const envelope = parse(data)
  const error = envelope['error']
  const none = { taskId: undefined, contextId: undefined, state: undefined }
  if (isJsonObject(error)) {
    return { data, kind: 'error', ...none, value: error, isLast: true }
  }
  const read = readResult(envelope['result'])
  const facts = factsOf(envelope['result'])
  if (read === undefined || facts === undefined) {
    return { data, kind: 'other', ...none, value: envelope, isLast: false }
  }
  const { kind, taskId, contextId, state } = facts
  return { data, kind, taskId, contextId, state, value: read.value, isLast: isLast(read, state) }
}

/** A message is the whole stream; of a task only the end is one (contract/a2a 1.5). */
function isLast({ kind, value }: ReadResult, state: TaskState | undefined): boolean {
  if (kind === 'message') return true
  if (kind !== 'status') return false
  const { final } = value
  return final === true || (final !== false && state !== undefined && isTerminal(state))
}

/** Whether a stream may end in this state without having broken off. */
export function isSettled(state: TaskState | undefined): boolean {
  return state !== undefined && (isTerminal(state) || isInterrupted(state))
}

function parse(data: Buffer): JsonObject {
  try {
    const value = parseLossless(data.toString('utf8'))
    if (isJsonObject(value)) return value
  } catch {
    // Said below: what is not JSON is no event.
  }
  throw new AppError('workspace_invalid_response', { internal: 'an event is no JSON object' })
}

/** A task that was asked for, as an event of the stream that it belongs to. */
export function taskEvent(task: JsonObject, dialect: AgentDialect): Buffer {
  return eventOf(dialect === '1.0' ? { task } : { kind: 'task', ...task })
}

/** The state of a task that was asked for, as an event. */
export function statusEvent(task: JsonObject, dialect: AgentDialect): Buffer {
  const { id: taskId = '', contextId = '', status = {} } = task
  const update = { taskId, contextId, status }
  return eventOf(
    dialect === '1.0'
      ? { statusUpdate: update }
      : { kind: 'status-update', ...update, final: true },
  )
}

function eventOf(result: JsonObject): Buffer {
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: null, result }))
}

/** How every event begins that is made here. */
const ANSWERS_NOBODY = Buffer.from('{"jsonrpc":"2.0","id":null,')

/** Whether the event has no id that a request had. */
export function answersNobody(data: Buffer): boolean {
  return data.subarray(0, ANSWERS_NOBODY.length).equals(ANSWERS_NOBODY)
}

/** A failure of ours as the last event of a stream; whoever reads it gives it an id of its own. */
export function errorEvent(failure: AppError): Buffer {
  const { code, publicText: message } = failure
  const error = { code: INTERNAL_ERROR, message, data: { code, error: message } }
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: null, error }))
}

/**
 * What the ledger is told of a message whose answer is a stream. Without an event nobody knows what
 * the agent has done; from then on the stream is looked after until its task has ended.
 */
export function outcomeOfFirst(first: StreamEvent | undefined): DispatchOutcome {
  if (first === undefined) return { kind: 'unknown', error: 'the stream ended before it began' }
  const isWhole = first.kind === 'message' || first.kind === 'error'
  return {
    kind: 'answered',
    status: 200,
    response: isWhole ? first.data : null,
    upstreamTaskId: first.taskId ?? null,
  }
}
