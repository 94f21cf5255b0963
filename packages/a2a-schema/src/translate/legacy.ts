/** @module What a client of 0.1 can read of a 0.3 result (contract/a2a 1.2 to 1.4). */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import type { ResultKind } from '../result-facts.ts'
import { readState } from '../task-state.ts'
import {
  dropped,
  each,
  type FieldRules,
  mapped,
  object,
  renamed,
  rewrite,
  withDefaults,
} from './rewrite.ts'

const PART: FieldRules = new Map([renamed('kind', 'type')])

const parts = mapped('parts', each(object((part) => rewrite(part, PART))))

const MESSAGE: FieldRules = new Map([dropped('kind'), parts])

const messageToV01 = object((message) => rewrite(message, MESSAGE))

/** 0.1 has no state for a refusal and none for credentials, and its clients refuse a strange one. */
function stateToV01(state: JsonValue): JsonValue {
  const known = readState(state)
  if (known === 'TASK_STATE_REJECTED') return 'failed'
  return known === 'TASK_STATE_AUTH_REQUIRED' ? 'input-required' : state
}

const STATUS: FieldRules = new Map([mapped('state', stateToV01), mapped('message', messageToV01)])

const statusToV01 = object((status) => rewrite(status, STATUS))

const ARTIFACT: FieldRules = new Map([parts])

function artifactsToV01(artifacts: JsonValue): JsonValue {
  if (!Array.isArray(artifacts)) return artifacts
  return artifacts.map((artifact: JsonValue, index) =>
    isJsonObject(artifact) ? withDefaults(rewrite(artifact, ARTIFACT), { index }) : artifact,
  )
}

const TASK: FieldRules = new Map([
  dropped('kind'),
  renamed('contextId', 'sessionId'),
  mapped('status', statusToV01),
  mapped('history', each(messageToV01)),
  mapped('artifacts', artifactsToV01),
])

const STATUS_EVENT: FieldRules = new Map([
  dropped('kind'),
  renamed('taskId', 'id'),
  renamed('contextId', 'sessionId'),
  mapped('status', statusToV01),
])

/** 0.1 keeps in the artifact how its pieces go together; 0.3 in the event around it. */
function artifactEventToV01(event: JsonObject): JsonObject {
  const { kind: _, taskId, contextId, artifact, append, lastChunk, ...rest } = event
  const pieces = {
    ...(append === undefined ? {} : { append }),
    ...(lastChunk === undefined ? {} : { lastChunk }),
  }
  return {
    id: taskId ?? '',
    sessionId: contextId ?? '',
    artifact: isJsonObject(artifact)
      ? { ...withDefaults(rewrite(artifact, ARTIFACT), { index: 0 }), ...pieces }
      : (artifact ?? null),
    ...rest,
  }
}

/** 0.1 knows no answer but a task: a bare message is a task that is complete with it. */
function messageAsTask(message: JsonObject): JsonObject {
  const { taskId, messageId, contextId } = message
  return {
    id: taskId ?? messageId ?? '',
    sessionId: contextId ?? '',
    status: { state: 'completed', message: messageToV01(message) },
  }
}

const TO_V01: Readonly<Record<ResultKind, (value: JsonObject) => JsonObject>> = {
  task: (task) => rewrite(task, TASK),
  message: messageAsTask,
  status: (event) => rewrite(event, STATUS_EVENT),
  artifact: artifactEventToV01,
}

/** A result or an event, as 0.3 writes it, for a client of 0.1. */
export function resultToV01(kind: ResultKind, value: JsonObject): JsonObject {
  return TO_V01[kind](value)
}
