/** @module The JSON-RPC 2.0 envelope of an A2A call: bytes in, request or failure out. */
import {
  isJsonNumber,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseLossless,
  type RawNumber,
} from './lossless-json.ts'

export type RpcId = string | number | RawNumber | null

export type RpcRequest = {
  /** What the reply must carry, same value and type. A request without an id is answered `null`. */
  readonly id: RpcId
  readonly method: string
  readonly params: JsonValue | undefined
  /** The whole envelope: what is forwarded when the original bytes cannot be. */
  readonly envelope: JsonObject
  /** True when the sender left the envelope out, so that the original bytes must not be forwarded. */
  readonly wasWrapped: boolean
}

/** Parse error, invalid request, invalid params (JSON-RPC 2.0 s5.1). */
export type RpcFailureCode = -32700 | -32600 | -32602

export type RpcFailure = {
  readonly code: RpcFailureCode
  readonly message: string
  readonly id: RpcId
  readonly data?: JsonValue
}

export type RpcParseResult =
  | { readonly ok: true; readonly request: RpcRequest }
  | { readonly ok: false; readonly error: RpcFailure }

type UuidSource = { uuid(): string }

// A byte order mark is not JSON (RFC 8259 s8.1), and the agent's parser would not skip it either.
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function parseBytes(bytes: Uint8Array): JsonValue | undefined {
  try {
    return parseLossless(UTF8.decode(bytes))
  } catch (error) {
    // TypeError: not UTF-8. SyntaxError: not JSON. RangeError: nested beyond reason.
    if (error instanceof TypeError) return undefined
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined
    throw error
  }
}

function isRpcId(value: JsonValue): value is RpcId {
  return value === null || typeof value === 'string' || isJsonNumber(value)
}

function invalid(detail: string, id: RpcId): RpcParseResult {
  return {
    ok: false,
    error: { code: -32600, message: `invalid JSON-RPC request: ${detail}`, id },
  }
}

/** contract/platform 4.3: a bare sender's other top-level keys are dropped; its own id is kept. */
function wrap(bare: JsonObject, method: string, ids: UuidSource): RpcParseResult {
  const own = bare['id']
  const id = own === undefined || !isRpcId(own) ? ids.uuid() : own
  const { params } = bare
  const envelope = {
    jsonrpc: '2.0',
    id,
    method,
    ...(params === undefined ? {} : { params }),
  }
  return { ok: true, request: { id, method, params, envelope, wasWrapped: true } }
}

function readEnvelope(envelope: JsonObject, ids: UuidSource): RpcParseResult {
  const { jsonrpc, id = null, method, params } = envelope
  if (jsonrpc === undefined && typeof method === 'string') return wrap(envelope, method, ids)
  if (!isRpcId(id)) return invalid('id must be a string, a number or null', null)
  if (jsonrpc !== '2.0') return invalid("jsonrpc must be '2.0'", id)
  if (typeof method !== 'string') return invalid('method must be a string', id)
  return { ok: true, request: { id, method, params, envelope, wasWrapped: false } }
}

/**
 * Reads one request from the bytes of a body. Failures are data, never thrown: the caller knows
 * which surface answers them with which status (contract/a2a 2.5). `ids` names the request of a
 * sender that left out the envelope and the id.
 */
export function parseRpcRequest(bytes: Uint8Array, ids: UuidSource): RpcParseResult {
  const value = parseBytes(bytes)
  if (value === undefined) {
    return { ok: false, error: { code: -32700, message: 'invalid JSON', id: null } }
  }
  if (Array.isArray(value)) return invalid('batch is not supported', null)
  if (!isJsonObject(value)) return invalid('it must be an object', null)
  return readEnvelope(value, ids)
}

/** The JSON text of a request whose original bytes cannot be forwarded. */
export function rpcRequestText(request: RpcRequest): string {
  return JSON.stringify(request.envelope)
}

/** The JSON text of an error reply. `data` is left out when undefined. */
export function rpcError(error: {
  readonly id: RpcId
  readonly code: number
  readonly message: string
  readonly data?: unknown
}): string {
  const { id, code, message, data } = error
  return JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, data } })
}
