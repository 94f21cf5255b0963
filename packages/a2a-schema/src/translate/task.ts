/** @module Tasks, their states and artifacts between the dialects (contract/a2a 1.4). */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import type { SpokenDialect } from '../method.ts'
import { readState, stateName } from '../task-state.ts'
import { messageToV03, messageToV10 } from './message.ts'
import { partToV03, partToV10 } from './part.ts'
import {
  dropped,
  droppedWhenEmpty,
  each,
  type FieldRules,
  mapped,
  object,
  rewrite,
  withDefaults,
} from './rewrite.ts'

// RFC 3339 demands a zone and ProtoJSON a RFC 3339 time; agents in Python print naive UTC.
const NAIVE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?$/

function timeToV10(time: JsonValue): JsonValue {
  return typeof time === 'string' && NAIVE_TIME.test(time) ? `${time}Z` : time
}

/** The state in the dialect's spelling; one that no dialect knows stays as it is. */
export function stateTo(dialect: SpokenDialect): (state: JsonValue) => JsonValue {
  return (state) => {
    const known = readState(state)
    return known === undefined ? state : stateName(known, dialect)
  }
}

const STATUS_V10: FieldRules = new Map([
  mapped('state', stateTo('1.0')),
  mapped('message', object(messageToV10)),
  mapped('timestamp', timeToV10),
])

const STATUS_V03: FieldRules = new Map([
  mapped('state', stateTo('0.3')),
  mapped('message', object(messageToV03)),
  droppedWhenEmpty('timestamp'),
])

/** The status as 1.0 writes it. */
export function statusToV10(status: JsonValue): JsonValue {
  return isJsonObject(status) ? rewrite(status, STATUS_V10) : status
}

/** The status as 0.3 writes it, where the state is required; ProtoJSON leaves out the unspecified. */
export function statusToV03(status: JsonValue): JsonValue {
  if (!isJsonObject(status)) return status
  return withDefaults(rewrite(status, STATUS_V03), { state: 'unknown' })
}

const ARTIFACT_V10: FieldRules = new Map([mapped('parts', each(partToV10))])
const ARTIFACT_V03: FieldRules = new Map([mapped('parts', each(partToV03))])

/** The artifact as 1.0 writes it. */
export const artifactToV10 = object((artifact) => rewrite(artifact, ARTIFACT_V10))

/** The artifact as 0.3 writes it. */
export const artifactToV03 = object((artifact) => rewrite(artifact, ARTIFACT_V03))

const TASK_V10: FieldRules = new Map([
  dropped('kind'),
  droppedWhenEmpty('contextId'),
  mapped('status', statusToV10),
  mapped('history', each(object(messageToV10))),
  mapped('artifacts', each(artifactToV10)),
])

const TASK_V03: FieldRules = new Map([
  dropped('kind'),
  mapped('status', statusToV03),
  mapped('history', each(object(messageToV03))),
  mapped('artifacts', each(artifactToV03)),
])

const REQUIRED_V03: JsonObject = { contextId: '', status: { state: 'unknown' } }

/** The task as 1.0 writes it, not wrapped. */
export function taskToV10(task: JsonObject): JsonObject {
  return rewrite(task, TASK_V10)
}

/** The task as 0.3 writes it; what 0.3 requires and 1.0 may leave out is there afterwards. */
export function taskToV03(task: JsonObject): JsonObject {
  return { kind: 'task', ...withDefaults(rewrite(task, TASK_V03), REQUIRED_V03) }
}
