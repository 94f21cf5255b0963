/** @module Results and stream events: `kind` and `final` of 0.3, the wrapper of 1.0 (contract/a2a 1.5). */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import type { SpokenDialect } from '../method.ts'
import { type ResultKind, readResult } from '../result-facts.ts'
import { isTerminal, readState } from '../task-state.ts'
import { resultToV01 } from './legacy.ts'
import { messageToV03, messageToV10 } from './message.ts'
import { dropped, type FieldRules, mapped, rewrite, withDefaults } from './rewrite.ts'
import {
  artifactToV03,
  artifactToV10,
  statusToV03,
  statusToV10,
  taskToV03,
  taskToV10,
} from './task.ts'

const STATUS_EVENT_V10: FieldRules = new Map([
  dropped('kind'),
  dropped('final'),
  mapped('status', statusToV10),
])
const STATUS_EVENT_V03: FieldRules = new Map([dropped('kind'), mapped('status', statusToV03)])
const ARTIFACT_EVENT_V10: FieldRules = new Map([dropped('kind'), mapped('artifact', artifactToV10)])
const ARTIFACT_EVENT_V03: FieldRules = new Map([dropped('kind'), mapped('artifact', artifactToV03)])

const WRAPPER_V10: Readonly<Record<ResultKind, string>> = {
  task: 'task',
  message: 'message',
  status: 'statusUpdate',
  artifact: 'artifactUpdate',
}

const VALUE_V10: Readonly<Record<ResultKind, (value: JsonObject) => JsonObject>> = {
  task: taskToV10,
  message: messageToV10,
  status: (event) => rewrite(event, STATUS_EVENT_V10),
  artifact: (event) => rewrite(event, ARTIFACT_EVENT_V10),
}

/**
 * 0.3 says with `final` that the stream ends. 1.0 ends it at a terminal state and at
 * `input-required`; after `auth-required` only the end of the agent's own stream tells.
 */
function isFinal(event: JsonObject): boolean {
  const status = event['status']
  const state = readState(isJsonObject(status) ? status['state'] : undefined)
  return state !== undefined && (isTerminal(state) || state === 'TASK_STATE_INPUT_REQUIRED')
}

function statusEventToV03(event: JsonObject): JsonObject {
  return {
    kind: 'status-update',
    ...withDefaults(rewrite(event, STATUS_EVENT_V03), {
      contextId: '',
      status: { state: 'unknown' },
      final: isFinal(event),
    }),
  }
}

const VALUE_V03: Readonly<Record<ResultKind, (value: JsonObject) => JsonObject>> = {
  task: taskToV03,
  message: messageToV03,
  status: statusEventToV03,
  artifact: (event) => ({
    kind: 'artifact-update',
    ...withDefaults(rewrite(event, ARTIFACT_EVENT_V03), { contextId: '' }),
  }),
}

/** A result or an event of any dialect without 1.0's wrapper, as `dialect` writes the object itself. */
function bareTo(kind: ResultKind, value: JsonObject, dialect: SpokenDialect): JsonObject {
  if (dialect === '1.0') return VALUE_V10[kind](value)
  const legacy = VALUE_V03[kind](value)
  return dialect === '0.3' ? legacy : resultToV01(kind, legacy)
}

/** A task of any dialect, not wrapped: what get and cancel answer. */
export function bareTaskTo(task: JsonObject, dialect: SpokenDialect): JsonObject {
  return bareTo('task', task, dialect)
}

/** Whether the outermost form is the dialect's: an agent may promise one and write another. */
function isWrittenAs(event: JsonValue | undefined, dialect: SpokenDialect): boolean {
  if (!isJsonObject(event)) return false
  const isBare = typeof event['kind'] === 'string'
  if (dialect !== '1.0') return isBare
  return !isBare && Object.values(WRAPPER_V10).some((name) => isJsonObject(event[name]))
}

/**
 * What a stream carries and what send answers, in the dialect `to`. Undefined when it is no result of
 * any dialect: the agent answered garbage.
 */
export function translateEvent(
  event: JsonValue | undefined,
  from: SpokenDialect,
  to: SpokenDialect,
): JsonValue | undefined {
  const read = readResult(event)
  if (read === undefined) return undefined
  if (from === to && isWrittenAs(event, to)) return event
  const value = bareTo(read.kind, read.value, to)
  return to === '1.0' ? { [WRAPPER_V10[read.kind]]: value } : value
}
