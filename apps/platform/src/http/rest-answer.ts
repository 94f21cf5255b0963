/** @module What a JSON-RPC reply looks like in either REST binding (contract/a2a 1.5, 1.6). */
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  readLossless,
} from '@atrium/a2a-schema/lossless-json'
import type { Operation } from '@atrium/a2a-schema/method'
import { restResult } from '@atrium/a2a-schema/translate/rest'
import { AppError } from '@atrium/http-kit/app-error'
import { RPC } from '../services/gateway/rpc-problem.ts'
import type { RestDialect } from './rest-call.ts'

export type RestReply = { readonly status: number; readonly body: Buffer }

/** A whole reply; of an error the status says what it is. */
export function restReply(
  bytes: Buffer,
  asked: { readonly dialect: RestDialect; readonly operation: Operation },
): RestReply {
  const envelope = objectIn(bytes)
  const { error } = envelope
  if (isJsonObject(error)) {
    const status = statusOfCode(error['code'])
    return { status, body: jsonOf(restError(error, status, asked.dialect)) }
  }
  return { status: 200, body: jsonOf(resultOf(envelope, asked)) }
}

/** One event of a stream, without the envelope of JSON-RPC. */
export function restEvent(bytes: Buffer, dialect: RestDialect): Buffer {
  const envelope = objectIn(bytes)
  const { error } = envelope
  if (isJsonObject(error)) return jsonOf(restError(error, statusOfCode(error['code']), dialect))
  return jsonOf(resultOf(envelope, { dialect, operation: 'stream' }))
}

function resultOf(
  { result = null }: JsonObject,
  { dialect, operation }: { readonly dialect: RestDialect; readonly operation: Operation },
): JsonValue {
  if (dialect === '0.3') return restResult({ operation, result }) ?? result
  return operation === 'push_delete' ? {} : result
}

/** 1.0: a `google.rpc.Status` that has the HTTP status for a code; 0.3: JSON-RPC's own error. */
export function restError(error: JsonObject, status: number, dialect: RestDialect): JsonObject {
  if (dialect === '0.3') return error
  const { message = '', data } = error
  const details = Array.isArray(data) ? data : []
  return { error: { code: status, status: nameOf(error['code'], status), message, details } }
}

/** As specification 1.0.1 has them. */
const STATUSES: ReadonlyMap<JsonValue | undefined, number> = new Map([
  [RPC.taskNotFound, 404],
  [RPC.methodNotFound, 404],
  [RPC.internalError, 500],
  [RPC.invalidAgentResponse, 500],
])

/** JSON-RPC's and A2A's codes; what else an agent says is its own failure. */
export function statusOfCode(code: JsonValue | undefined): number {
  const status = STATUSES.get(code)
  if (status !== undefined) return status
  return typeof code === 'number' && code <= -32001 && code >= -32700 ? 400 : 500
}

const NAMES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  402: 'FAILED_PRECONDITION',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  413: 'RESOURCE_EXHAUSTED',
  415: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}

function nameOf(code: JsonValue | undefined, status: number): string {
  const isOfA2a = typeof code === 'number' && code <= -32002 && code >= -32099
  if (isOfA2a && status === 400) return 'FAILED_PRECONDITION'
  return NAMES[status] ?? 'UNKNOWN'
}

function objectIn(bytes: Buffer): JsonObject {
  const value = readLossless(bytes.toString('utf8'))
  if (value === undefined) throw new AppError('workspace_invalid_response')
  return isJsonObject(value) ? value : {}
}

function jsonOf(value: JsonValue): Buffer {
  return Buffer.from(JSON.stringify(value))
}
