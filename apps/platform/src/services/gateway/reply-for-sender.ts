/** @module What an agent answered, as its caller reads it: dialect, id, and the name of the task. */
import { withHistoryLength } from '@atrium/a2a-schema/history'
import type { RpcId } from '@atrium/a2a-schema/json-rpc'
import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import type { Operation, SpokenDialect } from '@atrium/a2a-schema/method'
import { readResult } from '@atrium/a2a-schema/result-facts'
import { translateError } from '@atrium/a2a-schema/translate/error'
import { translateResult } from '@atrium/a2a-schema/translate/result'
import { resultForSender, type TaskAlias } from './task-alias.ts'

export type Reading = {
  /** undefined: a method of the agent's own, whose answer only its caller understands. */
  readonly operation: Operation | undefined
  readonly from: '0.3' | '1.0'
  readonly to: SpokenDialect
  readonly id: RpcId
  readonly alias: TaskAlias | undefined
  /** Of a task's history so much, which agents of 0.3 do not keep to; undefined all of it. */
  readonly historyLength?: number | undefined
  /** What a reader of REST sees of an event. */
  readonly view?: ((data: Buffer) => Buffer) | undefined
}

/**
 * Whether the caller can be told the very bytes. Of an agent that answers in a dialect in which it
 * was not asked, it cannot; what is an answer in none of them is the caller's to judge.
 */
export function isToldAsWritten(reading: Reading, envelope?: JsonObject): boolean {
  const { operation, from, to } = reading
  if (operation === undefined) return true
  if (from !== to || reading.alias !== undefined) return false
  const result = envelope?.['result']
  if (result === undefined || operation !== 'send') return true
  const written = translateResult({ operation, result }, from, to)
  return written === undefined || written === result
}

/** The whole reply; undefined when it cannot be told in the caller's dialect. */
export function envelopeFor(envelope: JsonObject, reading: Reading): JsonObject | undefined {
  const { operation, from, to, id, alias } = reading
  const { error, result } = envelope
  if (isJsonObject(error)) return { ...envelope, id, error: translateError(error, from, to) }
  if (operation === undefined) return { ...envelope, id }
  const translated = translateResult({ operation, result }, from, to)
  if (translated === undefined) return undefined
  const limited = withinHistory(translated, reading)
  return { ...envelope, id, result: alias ? resultForSender(limited, alias) : limited }
}

/** The rule is 1.0's: agents of 0.3 take 0 for everything (contract/a2a 1.9, 2.6). */
function withinHistory(result: JsonValue, { from, to, historyLength }: Reading): JsonValue {
  if (from !== '0.3' || to !== '1.0' || historyLength === undefined) return result
  const read = readResult(result)
  if (read?.kind !== 'task' || !isJsonObject(result)) return result
  const task = withHistoryLength(read.value, historyLength)
  return read.value === result ? task : { ...result, task }
}
