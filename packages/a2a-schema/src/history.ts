/** @module How much of a task's history its caller asked for (contract/a2a 1.9, 2.6). */
import { isJsonObject, type JsonObject, type JsonValue, wholeNumberOf } from './lossless-json.ts'

/** The task with the last `length` messages: undefined all of them, 0 none and no `history` at all. */
export function withHistoryLength(task: JsonObject, length: number | undefined): JsonObject {
  const { history } = task
  if (length === undefined || history === undefined) return task
  if (length > 0 && Array.isArray(history)) {
    if (history.length <= length) return task
    return { ...task, history: history.slice(-length) }
  }
  return Object.fromEntries(Object.entries(task).filter(([name]) => name !== 'history'))
}

/** The `historyLength` of a request: of its own, or of the configuration of a message. */
export function historyLengthOf(params: JsonValue | undefined): number | undefined {
  if (!isJsonObject(params)) return undefined
  const { historyLength = null, configuration } = params
  const own = wholeNumberOf(historyLength)
  if (own >= 0) return own
  return configuration === undefined ? undefined : historyLengthOf(configuration)
}
