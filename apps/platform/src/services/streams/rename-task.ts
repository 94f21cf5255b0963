/** @module A task under the name by which its sender knows it. Pure. */
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseLossless,
} from '@atrium/a2a-schema/lossless-json'

const NAMING = new Set(['id', 'taskId'])

/** The value with `to` wherever it names the task `from`. */
export function renameTask(value: JsonValue, from: string, to: string): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => renameTask(item, from, to))
  if (!isJsonObject(value)) return value
  return renamed(value, from, to)
}

function renamed(object: JsonObject, from: string, to: string): JsonObject {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [
      name,
      value === from && NAMING.has(name) ? to : renameTask(value, from, to),
    ]),
  )
}

/** A whole reply; its envelope keeps its id. */
export function renameTaskIn(reply: Buffer, from: string, to: string): Buffer {
  const envelope = parseLossless(reply.toString('utf8'))
  if (!isJsonObject(envelope)) return reply
  const { result } = envelope
  if (result === undefined) return reply
  return Buffer.from(JSON.stringify({ ...envelope, result: renameTask(result, from, to) }))
}
