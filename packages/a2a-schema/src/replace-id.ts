/**
 * @module The same answer for another request: only the id token of the JSON text changes, so that
 * big numbers, key order and white space of what an agent said survive (contract/a2a 2.1.4).
 */
import type { RpcId } from './json-rpc.ts'

const UTF8 = new TextDecoder()
const ENCODER = new TextEncoder()

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const CLOSE_BRACE = 0x7d
const CLOSE_BRACKET = 0x5d
const WHITE_SPACE: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d])

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from
  while (WHITE_SPACE.has(bytes[at] ?? -1)) at += 1
  return at
}

/** The position behind the string that starts at `from`. */
function endOfString(bytes: Uint8Array, from: number): number {
  let at = from + 1
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at + 1
}

const ENDS_VALUE: ReadonlySet<number> = new Set([COMMA, CLOSE_BRACE, CLOSE_BRACKET])
const DEPTH_CHANGES: ReadonlyMap<number, number> = new Map([
  [OPEN_BRACE, 1],
  [OPEN_BRACKET, 1],
  [CLOSE_BRACE, -1],
  [CLOSE_BRACKET, -1],
])

/** The position behind the value that starts at `from`, without its trailing white space. */
function endOfValue(bytes: Uint8Array, from: number): number {
  let depth = 0
  let at = from
  let end = from
  while (at < bytes.length) {
    const byte = bytes[at] ?? -1
    if (depth === 0 && ENDS_VALUE.has(byte)) break
    depth += DEPTH_CHANGES.get(byte) ?? 0
    at = byte === QUOTE ? endOfString(bytes, at) : at + 1
    if (!WHITE_SPACE.has(byte)) end = at
  }
  return end
}

/** A key may be written with escapes. */
const ID_KEY = /^"(?:i|\\u0069)(?:d|\\u0064)"$/

function isIdKey(key: Uint8Array): boolean {
  return key.length <= 14 && ID_KEY.test(UTF8.decode(key))
}

type Token = { readonly start: number; readonly end: number }

/** Where the ids of the outermost object are: parsers that see two of them take the last. */
function idTokens(bytes: Uint8Array): Token[] {
  const found: Token[] = []
  let at = skipSpace(bytes, 0) + 1
  while (at < bytes.length) {
    const keyStart = skipSpace(bytes, at)
    if (bytes[keyStart] !== QUOTE) break
    const keyEnd = endOfString(bytes, keyStart)
    const colon = skipSpace(bytes, keyEnd)
    if (bytes[colon] !== COLON) break
    const start = skipSpace(bytes, colon + 1)
    const end = endOfValue(bytes, start)
    if (isIdKey(bytes.subarray(keyStart, keyEnd))) found.push({ start, end })
    const next = skipSpace(bytes, end)
    if (bytes[next] !== COMMA) break
    at = next + 1
  }
  return found
}

/**
 * The JSON text `bytes` with `id` in place of its own; where it has none, `id` is added in front.
 * `bytes` must be the JSON text of an object, as who parsed it knows; other bytes give nonsense, but
 * never an exception and never an endless loop.
 */
export function replaceId(bytes: Uint8Array, id: RpcId): Uint8Array {
  const token = ENCODER.encode(JSON.stringify(id))
  const tokens = idTokens(bytes)
  if (tokens.length === 0) return withIdInFront(bytes, token)
  const pieces: Uint8Array[] = []
  let copied = 0
  for (const { start, end } of tokens) {
    pieces.push(bytes.subarray(copied, start), token)
    copied = end
  }
  return joined([...pieces, bytes.subarray(copied)])
}

function withIdInFront(bytes: Uint8Array, token: Uint8Array): Uint8Array {
  const inside = skipSpace(bytes, 0) + 1
  const isEmpty = bytes[skipSpace(bytes, inside)] === CLOSE_BRACE
  return joined([
    bytes.subarray(0, inside),
    ENCODER.encode('"id":'),
    token,
    ENCODER.encode(isEmpty ? '' : ','),
    bytes.subarray(inside),
  ])
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
