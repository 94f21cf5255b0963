/** @module The params of every operation between the dialects (contract/a2a 1.2, 1.9). */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import type { Operation, SpokenDialect } from '../method.ts'
import { messageToV03, messageToV10 } from './message.ts'
import {
  pushConfigToV03,
  pushConfigToV10,
  taskPushConfigToV03,
  taskPushConfigToV10,
} from './push-config.ts'
import { type FieldRules, mapped, object, renamed, rewrite, withDefaults } from './rewrite.ts'
import { stateTo } from './task.ts'

/** What an operation is asked with: the canonical params of one dialect. */
export type OperationCall = {
  readonly operation: Operation
  readonly params: JsonValue | undefined
}

function inverted(flag: JsonValue): JsonValue {
  return typeof flag === 'boolean' ? !flag : flag
}

function unlessEmpty(modes: JsonValue): readonly (readonly [string, JsonValue])[] {
  return Array.isArray(modes) && modes.length === 0 ? [] : [['acceptedOutputModes', modes]]
}

const CONFIGURATION_V10: FieldRules = new Map([
  ['acceptedOutputModes', unlessEmpty],
  renamed('blocking', 'returnImmediately', inverted),
  renamed('pushNotificationConfig', 'taskPushNotificationConfig', pushConfigToV10),
])

const CONFIGURATION_V03: FieldRules = new Map([
  renamed('returnImmediately', 'blocking', inverted),
  renamed('taskPushNotificationConfig', 'pushNotificationConfig', pushConfigToV03),
])

const configurationToV10 = object((configuration) => rewrite(configuration, CONFIGURATION_V10))

// In 1.0 leaving the flag out means to wait. Agents of 0.3 do not agree on what it means, once there
// is a configuration at all; and those before 0.2.5 demand a list of modes, where none is every one.
const DEFAULTS_V03: JsonObject = { blocking: true, acceptedOutputModes: [] }

const configurationToV03 = object((configuration) =>
  withDefaults(rewrite(configuration, CONFIGURATION_V03), DEFAULTS_V03),
)

const SEND_V10: FieldRules = new Map([
  mapped('message', object(messageToV10)),
  mapped('configuration', configurationToV10),
])

const SEND_V03: FieldRules = new Map([
  mapped('message', object(messageToV03)),
  mapped('configuration', configurationToV03),
])

const CONFIG_REFERENCE_V10: FieldRules = new Map([
  renamed('id', 'taskId'),
  renamed('pushNotificationConfigId', 'id'),
])

const CONFIG_REFERENCE_V03: FieldRules = new Map([
  renamed('taskId', 'id'),
  ['id', (id) => (id === '' ? [] : [['pushNotificationConfigId', id]])],
])

const LIST_V10: FieldRules = new Map([mapped('status', stateTo('1.0'))])
const LIST_V03: FieldRules = new Map([mapped('status', stateTo('0.3'))])

type ParamsTranslator = (params: JsonObject) => JsonValue

const by =
  (rules: FieldRules): ParamsTranslator =>
  (params) =>
    rewrite(params, rules)

const asIs: ParamsTranslator = (params) => params

const TO_V10: Readonly<Record<Operation, ParamsTranslator>> = {
  send: by(SEND_V10),
  stream: by(SEND_V10),
  get: asIs,
  list: by(LIST_V10),
  cancel: asIs,
  subscribe: asIs,
  push_set: taskPushConfigToV10,
  push_get: by(CONFIG_REFERENCE_V10),
  push_list: by(new Map([renamed('id', 'taskId')])),
  push_delete: by(CONFIG_REFERENCE_V10),
  extended_card: asIs,
}

const TO_V03: Readonly<Record<Operation, ParamsTranslator>> = {
  send: by(SEND_V03),
  stream: by(SEND_V03),
  get: asIs,
  list: by(LIST_V03),
  cancel: asIs,
  subscribe: asIs,
  push_set: taskPushConfigToV03,
  push_get: by(CONFIG_REFERENCE_V03),
  push_list: by(new Map([renamed('taskId', 'id')])),
  push_delete: by(CONFIG_REFERENCE_V03),
  extended_card: asIs,
}

/**
 * The params of the call in the dialect `to`. Takes what validation and normalisation let through;
 * 0.1 counts as 0.3, which normalisation has made of it. Never throws.
 */
export function translateRequest(
  call: OperationCall,
  from: SpokenDialect,
  to: SpokenDialect,
): JsonValue | undefined {
  const isSame = (from === '1.0') === (to === '1.0')
  if (isSame || !isJsonObject(call.params)) return call.params
  const table = to === '1.0' ? TO_V10 : TO_V03
  return table[call.operation](call.params)
}
