/**
 * @module What a message must look like before the SDK sees it. The SDK accepts shapes whose content
 * it then loses (contract/a2a 0.3): answering a question that was not asked is worse than refusing.
 */
import type { JsonObject, JsonValue } from '@atrium/a2a-schema/lossless-json'
import { isJsonObject } from '@atrium/a2a-schema/lossless-json'
import type { Dialect } from '@atrium/a2a-schema/method'

export type MessageFault = { readonly field: string; readonly detail: string }

const ARMS = ['text', 'raw', 'url', 'data'] as const
// One class and no group that repeats: on megabytes a group overflows the engine's stack. Both
// alphabets, because the SDK decodes both (contract/a2a 2.4).
const NOT_BASE64 = /[^A-Za-z0-9+/_-]/
/** What may pad a text by the number of characters that are over after whole groups of four. */
const PADDINGS: readonly (readonly string[])[] = [[''], [], ['', '=='], ['', '=']]
const ROLES: Readonly<Record<'0.3' | '1.0', readonly unknown[]>> = {
  '0.3': ['user', 'agent'],
  '1.0': ['ROLE_USER', 'ROLE_AGENT', 'user', 'agent', 1, 2],
}

/** The first fault of `params` of a sending method, or undefined. Never throws. */
export function findMessageFault(
  params: JsonValue | undefined,
  dialect: Dialect,
): MessageFault | undefined {
  if (!isJsonObject(params)) return { field: 'params', detail: 'must be an object' }
  const message = params['message']
  if (!isJsonObject(message)) return { field: 'params.message', detail: 'must be an object' }
  const version = dialect === '1.0' ? '1.0' : '0.3'
  const role = message['role']
  if (role !== undefined && !ROLES[version].includes(role)) {
    return { field: 'params.message.role', detail: 'is not a role' }
  }
  const id = message['messageId']
  if (typeof id !== 'string' || id === '') {
    return { field: 'params.message.messageId', detail: 'must be a text' }
  }
  return (
    faultOfParts(message['parts'], version) ??
    faultOfFields(message, MESSAGE_FIELDS, 'params.message') ??
    faultOfConfiguration(params)
  )
}

function faultOfParts(
  parts: JsonValue | undefined,
  version: '0.3' | '1.0',
): MessageFault | undefined {
  if (!Array.isArray(parts) || parts.length === 0) {
    return { field: 'params.message.parts', detail: 'must be a list with at least one part' }
  }
  const detailOf = version === '1.0' ? faultOfPart : faultOfLegacyPart
  for (const [index, part] of parts.entries()) {
    const detail = isJsonObject(part) ? detailOf(part) : 'must be an object'
    if (detail !== undefined) return { field: `params.message.parts[${index}]`, detail }
  }
  return undefined
}

/** The first fault of `params` of a method about one task, or undefined. Never throws. */
export function findTaskFault(params: JsonValue | undefined): MessageFault | undefined {
  // What is no object, and an id that is missing, the SDK refuses by itself.
  return isJsonObject(params) ? faultOfFields(params, { id: isText }, 'params') : undefined
}

/** The task that the message of `params` goes on with. The SDK reads both spellings. */
export function taskOfMessage(params: JsonValue | undefined): string | undefined {
  const message = isJsonObject(params) ? params['message'] : undefined
  if (!isJsonObject(message)) return undefined
  const taskId = message['taskId'] ?? message['task_id']
  return typeof taskId === 'string' ? taskId : undefined
}

type Rule = { readonly is: (value: JsonValue) => boolean; readonly detail: string }

const isText: Rule = { is: (value) => typeof value === 'string', detail: 'must be a text' }
const isFlag: Rule = { is: (value) => typeof value === 'boolean', detail: 'must be true or false' }
const isTexts: Rule = {
  is: (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  detail: 'must be a list of texts',
}
const isObject: Rule = { is: (value) => isJsonObject(value), detail: 'must be an object' }

const MESSAGE_FIELDS: Readonly<Record<string, Rule>> = {
  taskId: isText,
  contextId: isText,
  referenceTaskIds: isTexts,
  extensions: isTexts,
  metadata: isObject,
}
const CONFIGURATION_FIELDS: Readonly<Record<string, Rule>> = {
  blocking: isFlag,
  returnImmediately: isFlag,
  acceptedOutputModes: isTexts,
}

function faultOfConfiguration(params: JsonObject): MessageFault | undefined {
  const fault = faultOfFields(params, { configuration: isObject, metadata: isObject }, 'params')
  const { configuration } = params
  if (fault !== undefined || !isJsonObject(configuration)) return fault
  return faultOfFields(configuration, CONFIGURATION_FIELDS, 'params.configuration')
}

/** Fields that need not be there, and of which the SDK takes on trust what they are. */
function faultOfFields(
  object: JsonObject,
  rules: Readonly<Record<string, Rule>>,
  path: string,
): MessageFault | undefined {
  for (const [name, { is, detail }] of Object.entries(rules)) {
    const value = object[name]
    // Null is absent, as in ProtoJSON.
    if (value === undefined || value === null || is(value)) continue
    return { field: `${path}.${name}`, detail }
  }
  return undefined
}

/** 1.0: exactly one of `text`, `raw`, `url`, `data` (contract/a2a 1.3, 2.4). */
function faultOfPart(part: JsonObject): string | undefined {
  const present = ARMS.filter((arm) => Object.hasOwn(part, arm))
  const [arm] = present
  if (arm === undefined) return `has none of ${ARMS.join(', ')}`
  if (present.length > 1) return `has more than one of ${ARMS.join(', ')}`
  const value = part[arm]
  if (arm === 'data') return value === null ? 'data is null, which would be lost' : undefined
  if (typeof value !== 'string') return `${arm} must be a text`
  if (arm === 'url' && value === '') return 'url is empty'
  if (arm === 'raw' && !isBase64(value)) return 'raw is not base64'
  return undefined
}

/** 0.3: `kind` says which member there is. */
function faultOfLegacyPart(part: JsonObject): string | undefined {
  switch (part['kind']) {
    case 'text':
      return typeof part['text'] === 'string' ? undefined : 'text must be a text'
    case 'data':
      return isJsonObject(part['data']) ? undefined : 'data must be an object'
    case 'file':
      return faultOfLegacyFile(part['file'])
    default:
      return 'kind must be text, file or data'
  }
}

function faultOfLegacyFile(file: JsonValue | undefined): string | undefined {
  if (!isJsonObject(file)) return 'file must be an object'
  const { uri, bytes } = file
  if (uri !== undefined && bytes !== undefined) return 'file has both uri and bytes'
  const fault = faultOfFields(file, { name: isText, mimeType: isText }, 'file')
  if (fault !== undefined) return `${fault.field} ${fault.detail}`
  if (typeof bytes === 'string') return isBase64(bytes) ? undefined : 'file.bytes is not base64'
  if (typeof uri === 'string' && uri !== '') return undefined
  return 'file must have a uri'
}

function isBase64(text: string): boolean {
  const padding = /={0,2}$/.exec(text)?.[0] ?? ''
  const digits = text.length - padding.length
  if (PADDINGS[digits % 4]?.includes(padding) !== true) return false
  return !NOT_BASE64.test(text.slice(0, digits))
}
