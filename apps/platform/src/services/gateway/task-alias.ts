/**
 * @module A task that its sender knows by the id of its delivery, because it had to wait before the
 * agent gave it one (contract/a2a 2.8). The sender goes on to say that, and the agent never hears it.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { readResult } from '@atrium/a2a-schema/result-facts'

export type TaskAlias = {
  /** What the sender calls it. */
  readonly known: string
  /** What the agent calls it; undefined until its answer says so. */
  readonly upstream: string | undefined
}

/** The params with the agent's id in place of the sender's. */
export function paramsForAgent(
  params: JsonValue | undefined,
  alias: TaskAlias,
): JsonValue | undefined {
  const { known, upstream } = alias
  if (!isJsonObject(params) || upstream === undefined) return params
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      if ((name === 'id' || name === 'taskId') && value === known) return [name, upstream]
      if (name === 'message' && isJsonObject(value) && value['taskId'] === known) {
        return [name, { ...value, taskId: upstream }]
      }
      return [name, value]
    }),
  )
}

/** A result or an event, in any dialect, with the sender's id in place of the agent's. */
export function resultForSender(result: JsonValue, alias: TaskAlias): JsonValue {
  const read = readResult(result)
  if (read === undefined) return result
  const { kind, value } = read
  const upstream = alias.upstream ?? (kind === 'task' ? value['id'] : value['taskId'])
  if (typeof upstream !== 'string') return result
  const renamed = renamedIn(value, upstream, alias.known)
  const told: JsonObject =
    kind === 'task' && value['id'] === upstream ? { ...renamed, id: alias.known } : renamed
  if (value === result || !isJsonObject(result)) return told
  return Object.fromEntries(
    Object.entries(result).map(([name, each]) => [name, each === value ? told : each]),
  )
}

/** Messages inside of a task name it too; what is inside of their parts is nobody's business. */
function renamedIn(object: JsonObject, from: string, to: string): JsonObject {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => {
      if (name === 'taskId' && value === from) return [name, to]
      if (name === 'status' || name === 'message') return [name, renamedValue(value, from, to)]
      if (name === 'history' && Array.isArray(value)) {
        return [name, value.map((each: JsonValue) => renamedValue(each, from, to))]
      }
      return [name, value]
    }),
  )
}

function renamedValue(value: JsonValue, from: string, to: string): JsonValue {
  return isJsonObject(value) ? renamedIn(value, from, to) : value
}
