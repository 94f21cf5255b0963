/** @module A task as the events about it have made it. Pure. */
import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import type { StreamEvent } from './stream-event.ts'

/** The task after the event; undefined: nothing of a task is known. */
export function foldTask(task: JsonObject | undefined, event: StreamEvent): JsonObject | undefined {
  const { kind, value } = event
  if (kind === 'task') return value
  if (kind !== 'status' && kind !== 'artifact') return task
  const known = task ?? emptyTask(value)
  if (kind === 'status') return { ...known, status: value['status'] ?? {} }
  return { ...known, artifacts: withArtifact(known['artifacts'], value) }
}

function emptyTask(event: JsonObject): JsonObject {
  const { taskId = '', contextId } = event
  return { id: taskId, ...(contextId === undefined ? {} : { contextId }), status: {} }
}

/** A piece of an artifact is added to it; anything else takes its place (contract/a2a 1.5). */
function withArtifact(known: JsonValue | undefined, event: JsonObject): JsonValue {
  const { artifact, append } = event
  const others: readonly JsonValue[] = Array.isArray(known) ? known : []
  if (!isJsonObject(artifact)) return others
  const at = others.findIndex(
    (each) => isJsonObject(each) && each['artifactId'] === artifact['artifactId'],
  )
  const former = others[at]
  if (!isJsonObject(former)) return [...others, artifact]
  const joined = append === true ? { ...former, parts: partsOf(former, artifact) } : artifact
  return others.with(at, joined)
}

function partsOf(...artifacts: readonly JsonObject[]): JsonValue {
  return artifacts.flatMap(({ parts }): readonly JsonValue[] => (Array.isArray(parts) ? parts : []))
}
