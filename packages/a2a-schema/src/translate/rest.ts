/**
 * @module The REST binding of 0.3: its bodies are proto-JSON (contract/a2a 1.2, 1.5). The binding of
 * 1.0 needs nothing of this: its bodies are the params and the results of JSON-RPC.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import type { Operation } from '../method.ts'
import { type ResultKind, readResult } from '../result-facts.ts'
import { readState } from '../task-state.ts'
import { restCard } from './card.ts'
import type { OperationCall } from './request.ts'
import { artifactToRest, messageFromRest, messageToRest } from './rest-message.ts'
import type { OperationResult } from './result.ts'
import {
  dropped,
  each,
  type FieldRules,
  mapped,
  object,
  renamed,
  rewrite,
  withDefaults,
  without,
} from './rewrite.ts'

const CONFIGURATION: FieldRules = new Map([
  renamed('pushNotification', 'pushNotificationConfig'),
  renamed('push_notification', 'pushNotificationConfig'),
  renamed('accepted_output_modes', 'acceptedOutputModes'),
  renamed('history_length', 'historyLength'),
])

// `request` is the name in the proto, `message` the one it is to have in JSON; both are sent.
const SEND: FieldRules = new Map([
  mapped('message', messageFromRest),
  renamed('request', 'message', messageFromRest),
  mapped(
    'configuration',
    // proto3 leaves false out: a client that says nothing of it does not want to wait.
    object((given) => withDefaults(rewrite(given, CONFIGURATION), { blocking: false })),
  ),
])

const NAMED_CONFIG = /^tasks\/([^/]+)\/pushNotificationConfigs\/([^/]+)$/

/**
 * `taskId` comes from the path. Clients send the request of the proto with `config` in it, that
 * `config` itself, or the bare configuration.
 */
function pushSetFromRest(params: JsonObject): JsonObject {
  const { taskId, config, ...rest } = params
  const task = isJsonObject(config) ? config : rest
  const nested = task['pushNotificationConfig'] ?? task['push_notification_config']
  const chosen = isJsonObject(nested) ? nested : without(task, 'name')
  const { configId = rest['config_id'] ?? nameOf(task['name']) } = rest
  const id = chosen['id'] === undefined && typeof configId === 'string' ? { id: configId } : {}
  return {
    ...(taskId === undefined ? {} : { taskId }),
    pushNotificationConfig: { ...id, ...chosen },
  }
}

function nameOf(name: JsonValue | undefined): string | undefined {
  return typeof name === 'string' ? NAMED_CONFIG.exec(name)?.[2] : undefined
}

/**
 * The params of 0.3's JSON-RPC for a REST call: the body, and what path and query say (`id`, `taskId`,
 * `pushNotificationConfigId`, `historyLength`) as JSON-RPC calls it. What is left is normalised and
 * checked as every other 0.3 request. Never throws.
 */
export function restRequest(call: OperationCall): JsonValue | undefined {
  const { operation, params } = call
  if (!isJsonObject(params)) return params
  if (operation === 'send' || operation === 'stream') return rewrite(params, SEND)
  return operation === 'push_set' ? pushSetFromRest(params) : params
}

/** The states have the names of 1.0, and one of them another spelling. */
function stateToRest(state: JsonValue): JsonValue {
  const known = readState(state)
  return known === 'TASK_STATE_CANCELED' ? 'TASK_STATE_CANCELLED' : (known ?? state)
}

const statusToRest = object((status) =>
  rewrite(status, new Map([mapped('state', stateToRest), mapped('message', messageToRest)])),
)

const TASK: FieldRules = new Map([
  dropped('kind'),
  mapped('status', statusToRest),
  mapped('history', each(messageToRest)),
  mapped('artifacts', each(artifactToRest)),
])

const EVENT: FieldRules = new Map([
  dropped('kind'),
  mapped('status', statusToRest),
  mapped('artifact', artifactToRest),
])

const WRAPPERS: Readonly<Record<ResultKind, string>> = {
  task: 'task',
  message: 'message',
  status: 'statusUpdate',
  artifact: 'artifactUpdate',
}

function valueToRest(kind: ResultKind, value: JsonObject): JsonValue {
  if (kind === 'message') return messageToRest(value)
  return rewrite(value, kind === 'task' ? TASK : EVENT)
}

function wrapped(result: JsonValue): JsonValue | undefined {
  const read = readResult(result)
  if (read === undefined) return undefined
  return { [WRAPPERS[read.kind]]: valueToRest(read.kind, read.value) }
}

function task(result: JsonValue): JsonValue | undefined {
  const read = readResult(result)
  return read?.kind === 'task' ? rewrite(read.value, TASK) : undefined
}

/** The ids are the name of a resource here. */
const config = object(({ taskId, pushNotificationConfig, ...rest }) => {
  const inner = isJsonObject(pushNotificationConfig) ? pushNotificationConfig : {}
  const name = `tasks/${String(taskId)}/pushNotificationConfigs/${String(inner['id'] ?? taskId)}`
  return { name, ...rest, pushNotificationConfig: inner }
})

const RESULTS: Readonly<Record<Operation, (result: JsonValue) => JsonValue | undefined>> = {
  send: wrapped,
  stream: wrapped,
  subscribe: wrapped,
  get: task,
  cancel: task,
  list: (result) =>
    isJsonObject(result)
      ? rewrite(result, new Map([mapped('tasks', each(object((one) => rewrite(one, TASK))))]))
      : undefined,
  push_set: config,
  push_get: config,
  push_list: (result) => ({ configs: each(config)(result) }),
  push_delete: () => ({}),
  extended_card: object(restCard),
}

/**
 * The body of a REST answer for a result as 0.3's JSON-RPC writes it; of a stream, one event. Undefined
 * when it is no result. Never throws.
 */
export function restResult(answer: OperationResult): JsonValue | undefined {
  return RESULTS[answer.operation](answer.result ?? null)
}
