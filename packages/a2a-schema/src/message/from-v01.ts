/** @module A call of 0.1 as 0.3 would make it (contract/a2a 1.2, 2.3 #19). */
import { done, refused, type Step } from '../field-error.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import type { Operation } from '../method.ts'
import { mergeFields, withoutFields } from './merge-fields.ts'

export type FromV01 = {
  readonly params: JsonObject
  /** The id that the client chose for its task, under which it will ask for it. */
  readonly taskAlias: string | undefined
}

/** What stood beside the message and belongs to the configuration since. */
const CONFIGURATION_MEMBERS: ReadonlyMap<string, string> = new Map([
  ['acceptedOutputModes', 'acceptedOutputModes'],
  ['historyLength', 'historyLength'],
  ['pushNotification', 'pushNotificationConfig'],
])

/** Members of a sending call that are not its parameters in 0.3. */
const MOVED: ReadonlySet<string> = new Set([
  'id',
  'sessionId',
  'configuration',
  ...CONFIGURATION_MEMBERS.keys(),
])

/** Never throws. Unknown members stay where they are. */
export function paramsFromV01(operation: Operation, params: JsonObject): Step<FromV01> {
  if (operation === 'send' || operation === 'stream') return sendFromV01(params)
  const { id, ...rest } = params
  // The SDKs call the task of a configuration by its longer name since 0.2.
  const isSet = operation === 'push_set' && id !== undefined && rest['taskId'] === undefined
  return done({ params: isSet ? { taskId: id, ...rest } : params, taskAlias: undefined })
}

function sendFromV01(params: JsonObject): Step<FromV01> {
  const id = params['id'] ?? null
  if (id !== null && typeof id !== 'string') return refused('params.id', 'must be a text')
  const message = messageOfSession(params['message'] ?? null, params['sessionId'] ?? null)
  if (!message.ok) return message
  const configuration = configurationOf(params)
  if (!configuration.ok) return configuration
  const rest = withoutFields(params, (name) => MOVED.has(name))
  return done({
    params: {
      ...rest,
      message: message.value,
      ...(configuration.value === undefined ? {} : { configuration: configuration.value }),
    },
    taskAlias: id === null || id === '' ? undefined : id,
  })
}

function messageOfSession(message: JsonValue, sessionId: JsonValue): Step<JsonValue> {
  if (!isJsonObject(message) || sessionId === null) return done(message)
  if (typeof sessionId !== 'string') return refused('params.sessionId', 'must be a text')
  return mergeFields(message, { contextId: sessionId }, 'params.message')
}

function configurationOf(params: JsonObject): Step<JsonValue | undefined> {
  const moved: [string, JsonValue][] = []
  for (const [name, value] of Object.entries(params)) {
    const own = CONFIGURATION_MEMBERS.get(name)
    if (own !== undefined) moved.push([own, value])
  }
  const given = params['configuration']
  if (moved.length === 0 || (given !== undefined && given !== null && !isJsonObject(given))) {
    return done(given)
  }
  return mergeFields(given ?? {}, Object.fromEntries(moved), 'params.configuration')
}
