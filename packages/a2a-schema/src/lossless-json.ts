/**
 * @module JSON that survives a round trip. Ids above 2^53, `1.0` and `1e400` come from real clients,
 * and a proxy that re-serialises must not change them (contract/a2a 2.1.3).
 */

/**
 * A number whose source text a JavaScript number cannot reproduce; `JSON.stringify` prints it as it
 * was. An interface, because a type alias would pass for a `JsonObject`.
 */
export interface RawNumber {
  readonly rawJSON: string
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | RawNumber
  | readonly JsonValue[]
  | JsonObject
export type JsonObject = { readonly [key: string]: JsonValue }

type SourceReviver = (key: string, value: unknown, context: { source?: string }) => unknown

// ES2026 "JSON.parse source text access": in Node 24, not yet in TypeScript's library.
type SourceAwareJson = {
  parse(text: string, reviver: SourceReviver): JsonValue
  rawJSON(text: string): RawNumber
  isRawJSON(value: unknown): value is RawNumber
}

function isSourceAware(json: object): json is SourceAwareJson {
  return 'rawJSON' in json && 'isRawJSON' in json
}

function sourceAwareJson(): SourceAwareJson {
  const json: object = JSON
  if (!isSourceAware(json)) throw new Error('this engine lacks JSON.rawJSON; Node 24 has it')
  return json
}

const SOURCE_AWARE_JSON = sourceAwareJson()

const keepSource: SourceReviver = (_key, value, { source }) =>
  typeof value === 'number' && source !== undefined && String(value) !== source
    ? SOURCE_AWARE_JSON.rawJSON(source)
    : value

/**
 * Parses JSON text; numbers that would not print as they were written become `RawNumber`.
 * Throws SyntaxError for what is not JSON and RangeError for nesting deeper than the stack.
 */
export function parseLossless(text: string): JsonValue {
  return SOURCE_AWARE_JSON.parse(text, keepSource)
}

/** `parseLossless` of what others have said: undefined for what it throws at. */
export function readLossless(text: string): JsonValue | undefined {
  try {
    return parseLossless(text)
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined
    throw error
  }
}

/** Whether the value is a JSON number, in either representation. */
export function isJsonNumber(value: JsonValue): value is number | RawNumber {
  return typeof value === 'number' || SOURCE_AWARE_JSON.isRawJSON(value)
}

/** The value as a whole number; NaN, which compares false with everything, for what is none. `10.0` is ten. */
export function wholeNumberOf(value: JsonValue): number {
  if (!isJsonNumber(value)) return Number.NaN
  const given = typeof value === 'number' ? value : Number(value.rawJSON)
  return Number.isSafeInteger(given) ? given : Number.NaN
}

/** Whether the value is a JSON object: not null, not an array, not a number kept as text. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !SOURCE_AWARE_JSON.isRawJSON(value)
  )
}
