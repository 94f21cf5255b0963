/**
 * @module Messages and parts as the REST binding of 0.3 writes them: that binding is proto-JSON, with
 * `content` for the parts and enums by name (contract/a2a 1.2, 1.3), unlike 0.3's JSON-RPC.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import {
  dropped,
  each,
  type FieldRule,
  type FieldRules,
  mapped,
  object,
  renamed,
  rewrite,
  without,
} from './rewrite.ts'

const FILE_V03: FieldRules = new Map([
  renamed('fileWithUri', 'uri'),
  renamed('file_with_uri', 'uri'),
  renamed('fileWithBytes', 'bytes'),
  renamed('file_with_bytes', 'bytes'),
  renamed('mime_type', 'mimeType'),
])

const FILE_REST: FieldRules = new Map([
  renamed('uri', 'fileWithUri'),
  renamed('bytes', 'fileWithBytes'),
])

/** proto-JSON keeps data one level deeper; what has other fields beside it is no such wrapper. */
function innerData(data: JsonValue): JsonValue {
  const isWrapper = isJsonObject(data) && Object.keys(data).join() === 'data'
  return isWrapper ? (data['data'] ?? null) : data
}

const partFromRest = object((part) => {
  if (part['kind'] !== undefined) return part
  const { text, file, data } = part
  if (text !== undefined) return { kind: 'text', ...part }
  if (isJsonObject(file)) return { kind: 'file', ...part, file: rewrite(file, FILE_V03) }
  return data === undefined ? part : { kind: 'data', ...part, data: innerData(data) }
})

const partToRest = object((part) => {
  const { kind, file, data } = part
  const bare = without(part, 'kind')
  if (kind === 'file' && isJsonObject(file)) return { ...bare, file: rewrite(file, FILE_REST) }
  return kind === 'data' && data !== undefined ? { ...bare, data: { data } } : bare
})

const ROLES: ReadonlyMap<JsonValue, string> = new Map<JsonValue, string>([
  ['user', 'ROLE_USER'],
  ['agent', 'ROLE_AGENT'],
])

const NAMES: ReadonlyMap<JsonValue, string> = new Map<JsonValue, string>([
  ['ROLE_USER', 'user'],
  [1, 'user'],
  ['ROLE_AGENT', 'agent'],
  [2, 'agent'],
])

const named =
  (names: ReadonlyMap<JsonValue, string>) =>
  (value: JsonValue): JsonValue =>
    names.get(value) ?? value

const partsFromRest: FieldRule = (parts) => [['parts', each(partFromRest)(parts)]]

const MESSAGE_V03: FieldRules = new Map([
  ['content', partsFromRest],
  ['parts', partsFromRest],
  mapped('role', named(NAMES)),
  renamed('message_id', 'messageId'),
  renamed('context_id', 'contextId'),
  renamed('task_id', 'taskId'),
])

const MESSAGE_REST: FieldRules = new Map([
  dropped('kind'),
  renamed('parts', 'content', each(partToRest)),
  mapped('role', named(ROLES)),
])

/** A message of a REST body as 0.3's JSON-RPC writes it. A `content` that is no list stays. */
export const messageFromRest = object((message): JsonObject => {
  const isList = Array.isArray(message['content']) || message['content'] === undefined
  const rules = isList
    ? MESSAGE_V03
    : new Map([...MESSAGE_V03].filter(([name]) => name !== 'content'))
  return { kind: 'message', ...rewrite(message, rules) }
})

/** A message of 0.3's JSON-RPC for a REST body. */
export const messageToRest = object((message) => rewrite(message, MESSAGE_REST))

/** An artifact of 0.3's JSON-RPC for a REST body: here the list keeps its name. */
export const artifactToRest = object((artifact) =>
  rewrite(artifact, new Map([mapped('parts', each(partToRest))])),
)
