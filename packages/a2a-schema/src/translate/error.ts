/** @module Errors between the dialects: what 0.3 keeps in an object, 1.0 in a list of typed details. */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import type { SpokenDialect } from '../method.ts'
import { without } from './rewrite.ts'

export const ERROR_INFO = 'type.googleapis.com/google.rpc.ErrorInfo'
export const BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest'
const VALUE = 'type.googleapis.com/google.protobuf.Value'

export const A2A_DOMAIN = 'a2a-protocol.org'

/** The name of an error in upper case without its last word (contract/a2a 1.6). */
const REASONS: ReadonlyMap<number, string> = new Map([
  [-32001, 'TASK_NOT_FOUND'],
  [-32002, 'TASK_NOT_CANCELABLE'],
  [-32003, 'PUSH_NOTIFICATION_NOT_SUPPORTED'],
  [-32004, 'UNSUPPORTED_OPERATION'],
  [-32005, 'CONTENT_TYPE_NOT_SUPPORTED'],
  [-32006, 'INVALID_AGENT_RESPONSE'],
  [-32007, 'EXTENDED_AGENT_CARD_NOT_CONFIGURED'],
  [-32008, 'EXTENSION_SUPPORT_REQUIRED'],
  [-32009, 'VERSION_NOT_SUPPORTED'],
])

const INVALID_PARAMS = -32602

/** The reason that 1.0 demands with a code of A2A; undefined for JSON-RPC's own and foreign codes. */
export function reasonOf(code: JsonValue | undefined): string | undefined {
  return typeof code === 'number' ? REASONS.get(code) : undefined
}

/** The detail that 1.0 demands in every error of A2A. */
export function errorInfo(reason: string, metadata: JsonObject = {}): JsonObject {
  const facts = Object.keys(metadata).length === 0 ? {} : { metadata }
  return { '@type': ERROR_INFO, reason, domain: A2A_DOMAIN, ...facts }
}

/** The detail that says which fields of a request are refused. */
export function badRequest(
  violations: readonly { readonly field: string; readonly detail: string }[],
): JsonObject {
  const fieldViolations = violations.map(({ field, detail }) => ({ field, description: detail }))
  return { '@type': BAD_REQUEST, fieldViolations }
}

// A list of details that says more than one of 0.3's shapes can hold goes under this name.
const DETAILS = 'details'

function isDetailList(data: JsonValue | undefined): data is readonly JsonObject[] {
  if (!Array.isArray(data) || data.length === 0) return false
  return data.every((one: JsonValue) => isJsonObject(one) && typeof one['@type'] === 'string')
}

function hasOnly(value: JsonObject, names: readonly string[]): boolean {
  const keys = Object.keys(value)
  return keys.length === names.length && names.every((name) => keys.includes(name))
}

function isText(value: JsonValue | undefined): value is string {
  return typeof value === 'string'
}

/** Which field of the params is refused, as our own 0.3 replies say it. */
function violationOf(data: JsonObject): { field: string; detail: string } | undefined {
  const { field, detail } = data
  const isOne = hasOnly(data, ['field', 'detail']) && isText(field) && isText(detail)
  return isOne ? { field, detail } : undefined
}

function objectDetails(code: JsonValue | undefined, data: JsonObject): JsonValue | undefined {
  const { [DETAILS]: details } = data
  if (isDetailList(details) && hasOnly(data, [DETAILS])) return details
  const violation = code === INVALID_PARAMS ? violationOf(data) : undefined
  if (violation !== undefined) return [badRequest([violation])]
  const reason = reasonOf(code)
  const values = Object.values(data)
  const isMap = values.length > 0 && values.every(isText)
  return reason !== undefined && isMap ? [errorInfo(reason, data)] : undefined
}

function dataToV10(
  code: JsonValue | undefined,
  data: JsonValue | undefined,
): JsonValue | undefined {
  const reason = reasonOf(code)
  const info = reason === undefined ? [] : [errorInfo(reason)]
  if (data === undefined) return info.length === 0 ? undefined : info
  if (isDetailList(data)) return data
  const known = isJsonObject(data) ? objectDetails(code, data) : undefined
  return known ?? [...info, { '@type': VALUE, value: data }]
}

/** What one detail says, as 0.3 would have said it; undefined when it says nothing. */
function plainOf(detail: JsonObject): JsonValue | undefined {
  const { '@type': type, metadata, value, fieldViolations } = detail
  if (type === ERROR_INFO) return metadata
  if (type === VALUE) return value
  const [first]: readonly JsonValue[] = Array.isArray(fieldViolations) ? fieldViolations : []
  if (!isJsonObject(first)) return undefined
  return { field: first['field'] ?? '', detail: first['description'] ?? '' }
}

/** The text of a value in which the order of fields makes no difference. */
function canonical(value: JsonValue | undefined): string {
  const sorted = (_name: string, one: JsonValue): JsonValue =>
    isJsonObject(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one
  return JSON.stringify(value, sorted) ?? ''
}

function isSame(one: JsonValue | undefined, other: JsonValue | undefined): boolean {
  try {
    return canonical(one) === canonical(other)
  } catch (error) {
    // Nested too deep to compare: what is kept whole needs no comparison.
    if (error instanceof RangeError) return false
    throw error
  }
}

/** The plain shape when the way back makes the same list of it, or else the list under a name. */
function dataToV03(
  code: JsonValue | undefined,
  data: JsonValue | undefined,
): JsonValue | undefined {
  if (!isDetailList(data)) return data
  const last = data.at(-1)
  const plain = last === undefined ? undefined : plainOf(last)
  return isSame(dataToV10(code, plain), data) ? plain : { [DETAILS]: data }
}

/**
 * The `error` of a JSON-RPC reply in the dialect `to`. Code and message stay as they are, and so do
 * fields that nobody specified. Never throws.
 */
export function translateError(
  error: JsonObject,
  from: SpokenDialect,
  to: SpokenDialect,
): JsonObject {
  if ((from === '1.0') === (to === '1.0')) return error
  const { code, data: given } = error
  const data = to === '1.0' ? dataToV10(code, given) : dataToV03(code, given)
  return { ...without(error, 'data'), ...(data === undefined ? {} : { data }) }
}
