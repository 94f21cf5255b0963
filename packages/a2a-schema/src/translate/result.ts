/** @module The result of every operation between the dialects (contract/a2a 1.5, 1.9). */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import type { Operation, SpokenDialect } from '../method.ts'
import { readResult } from '../result-facts.ts'
import { cardTo } from './card.ts'
import { bareTaskTo, translateEvent } from './event.ts'
import { taskPushConfigToV03, taskPushConfigToV10 } from './push-config.ts'
import { each, mapped, object, renamed, rewrite } from './rewrite.ts'

/** What an operation answered. */
export type OperationResult = {
  readonly operation: Operation
  readonly result: JsonValue | undefined
}

type ResultTranslator = (
  result: JsonValue,
  from: SpokenDialect,
  to: SpokenDialect,
) => JsonValue | undefined

/** Both dialects answer with the task itself; an agent that wraps it all the same is understood. */
const task: ResultTranslator = (result, _from, to) => {
  const read = readResult(result)
  return read?.kind === 'task' ? bareTaskTo(read.value, to) : undefined
}

const sent: ResultTranslator = (result, from, to) => {
  const kind = readResult(result)?.kind
  return kind === 'task' || kind === 'message' ? translateEvent(result, from, to) : undefined
}

const tasks: ResultTranslator = (result, _from, to) => {
  if (!isJsonObject(result) || !Array.isArray(result['tasks'])) return undefined
  return rewrite(result, new Map([mapped('tasks', each(object((one) => bareTaskTo(one, to))))]))
}

/** What 0.1 calls the task's id; it has the configuration in its own object, as 0.3 has. */
function configToV01(config: JsonValue): JsonValue {
  return isJsonObject(config) ? rewrite(config, new Map([renamed('taskId', 'id')])) : config
}

function configTo(config: JsonValue, to: SpokenDialect): JsonValue {
  if (to === '1.0') return taskPushConfigToV10(config)
  const legacy = taskPushConfigToV03(config)
  return to === '0.3' ? legacy : configToV01(legacy)
}

const pushConfig: ResultTranslator = (result, _from, to) =>
  isJsonObject(result) ? configTo(result, to) : undefined

/** 0.3 answers with the list itself and knows no pages: what is on a next page is not told. */
const pushConfigs: ResultTranslator = (result, _from, to) => {
  const configs = isJsonObject(result) ? (result['configs'] ?? []) : result
  if (!Array.isArray(configs)) return undefined
  const list = configs.map((config: JsonValue) => configTo(config, to))
  if (to !== '1.0') return list
  const page: JsonObject = isJsonObject(result) ? result : {}
  return { nextPageToken: '', ...page, configs: list }
}

const deleted: ResultTranslator = (_result, _from, to) => (to === '1.0' ? {} : null)

const card: ResultTranslator = (result, _from, to) =>
  isJsonObject(result) ? cardTo(result, to === '1.0' ? '1.0' : '0.3') : undefined

const TRANSLATORS: Readonly<Record<Operation, ResultTranslator>> = {
  send: sent,
  stream: translateEvent,
  get: task,
  list: tasks,
  cancel: task,
  subscribe: translateEvent,
  push_set: pushConfig,
  push_get: pushConfig,
  push_list: pushConfigs,
  push_delete: deleted,
  extended_card: card,
}

/**
 * The result of an operation in the dialect `to`; of a stream, one of its events. Undefined when it is
 * none in any dialect, which is the agent's mistake (-32006). Inside a result that is one, what nobody
 * can read stays as it is. Never throws.
 */
export function translateResult(
  answer: OperationResult,
  from: SpokenDialect,
  to: SpokenDialect,
): JsonValue | undefined {
  return TRANSLATORS[answer.operation](answer.result ?? null, from, to)
}
