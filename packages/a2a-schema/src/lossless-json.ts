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
const SourceAwareJson = JSON as unknown as {
  parse(text: string, reviver: SourceReviver): unknown
  rawJSON(text: string): RawNumber
  isRawJSON(value: unknown): value is RawNumber
}

const keepSource: SourceReviver = (_key, value, { source }) =>
  typeof value === 'number' && source !== undefined && String(value) !== source
    ? SourceAwareJson.rawJSON(source)
    : value

/**
 * Parses JSON text; numbers that would not print as they were written become `RawNumber`.
 * Throws SyntaxError for what is not JSON and RangeError for nesting deeper than the stack.
 */
export function parseLossless(text: string): JsonValue {
  // The parser produces exactly these types; nothing else can come back.
  return SourceAwareJson.parse(text, keepSource) as JsonValue
}

/** Whether the value is a JSON number, in either representation. */
export function isJsonNumber(value: JsonValue): value is number | RawNumber {
  return typeof value === 'number' || SourceAwareJson.isRawJSON(value)
}

/** Whether the value is a JSON object: not null, not an array, not a number kept as text. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !SourceAwareJson.isRawJSON(value)
  )
}
