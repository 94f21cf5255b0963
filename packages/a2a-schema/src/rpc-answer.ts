/**
 * @module What an agent has answered, as its caller may read it. A client of any generation chokes on
 * an envelope that is not one, and takes another id for an answer to somebody else.
 */
import type { RpcId } from './json-rpc.ts'
import type { JsonObject } from './lossless-json.ts'
import { replaceId } from './replace-id.ts'

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export type RpcAnswer = {
  /** Without a byte order mark. */
  readonly bytes: Buffer
  /** What they say; numbers as JavaScript has them. */
  readonly envelope: JsonObject
}

/** Undefined for what is no JSON-RPC answer: not UTF-8, not one object, or neither a result nor an error. */
export function readRpcAnswer(bytes: Uint8Array): RpcAnswer | undefined {
  // RFC 8259 s8.1: it may be ignored by who reads it, and must not be sent on.
  const hasMark = BYTE_ORDER_MARK.equals(bytes.subarray(0, BYTE_ORDER_MARK.length))
  const text = hasMark ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes
  const envelope = parsed(text)
  if (!isAnswer(envelope)) return undefined
  return { bytes: Buffer.from(text.buffer, text.byteOffset, text.byteLength), envelope }
}

/** The answer under the caller's own id, its bytes untouched where that id was in it already. */
export function answerWithId({ bytes, envelope }: RpcAnswer, id: RpcId): Buffer {
  if (isSameId(envelope['id'], id)) return bytes
  const { buffer, byteOffset, byteLength } = replaceId(bytes, id)
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** Read, and not kept: what is nested deeper than our own parser goes is an answer all the same. */
function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes))
  } catch (error) {
    // TypeError: not UTF-8. SyntaxError: not JSON. RangeError: nested beyond reason.
    const isExpected =
      error instanceof TypeError || error instanceof SyntaxError || error instanceof RangeError
    if (isExpected) return undefined
    throw error
  }
}

/** JSON-RPC 2.0 s5: either of them, and never both; an error has a number and words. */
function isAnswer(value: unknown): value is JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { jsonrpc, result, error }: Readonly<Record<string, unknown>> = { ...value }
  if (jsonrpc !== '2.0') return false
  // Some servers print the member that is not there as null.
  if (error === undefined || error === null) return result !== undefined
  return (result === undefined || result === null) && isError(error)
}

function isError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  if (!('code' in error && 'message' in error)) return false
  return Number.isInteger(error.code) && typeof error.message === 'string'
}

/** Of numbers that JavaScript changes this says no, and they are written as the caller wrote them. */
function isSameId(given: unknown, id: RpcId): boolean {
  return given === id && (typeof given !== 'number' || Number.isSafeInteger(given))
}
