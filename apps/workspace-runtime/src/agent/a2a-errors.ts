/** @module JSON-RPC errors of the agent's endpoint, in the dialect of the request (contract/a2a 1.6). */
import { type RpcId, rpcError } from '@atrium/a2a-schema/json-rpc'
import type { Dialect } from '@atrium/a2a-schema/method'
import { badRequest, ERROR_INFO, errorInfo } from '@atrium/a2a-schema/translate/error'
import { AppError, describeFailure, type ErrorCode } from '@atrium/http-kit/app-error'
import type { A2aAnswer } from './a2a-answer.ts'
import type { StorageLack } from './deliveries/delivery-claim.ts'

export const INVALID_REQUEST = -32600
export const METHOD_NOT_FOUND = -32601
export const INVALID_PARAMS = -32602
export const INTERNAL_ERROR = -32603
export const TASK_NOT_FOUND = -32001
export const UNSUPPORTED_OPERATION = -32004
export const CONTENT_TYPE_NOT_SUPPORTED = -32005
export const VERSION_NOT_SUPPORTED = -32009

export type RequestFacts = { readonly id: RpcId; readonly dialect: Dialect }

/** `params` are wrong at `field`. */
export function invalidParams(
  { id, dialect }: RequestFacts,
  fault: { readonly field: string; readonly detail: string },
): string {
  const { field, detail } = fault
  const data = dialect === '1.0' ? [badRequest([fault])] : { field, detail }
  return rpcError({
    id,
    code: INVALID_PARAMS,
    message: `invalid params: ${field}: ${detail}`,
    data,
  })
}

/** An error of the protocol itself; `reason` is its name for machines. */
export function protocolError(
  { id, dialect }: RequestFacts,
  error: { readonly code: number; readonly message: string; readonly reason: string },
  metadata: Readonly<Record<string, string>> = {},
): string {
  const { code, message, reason } = error
  const data = dialect === '1.0' ? [errorInfo(reason, metadata)] : { reason, ...metadata }
  return rpcError({ id, code, message, data })
}

/** A failure of ours, with the failure contract's body in `data` (design/architecture 7). */
export function failureError(
  { id, dialect }: RequestFacts,
  failure: { readonly code: ErrorCode; readonly requestId: string; readonly detail?: string },
): string {
  const { requestId, detail } = failure
  const extensions = detail === undefined ? {} : { detail }
  const { body } = describeFailure(new AppError(failure.code, { extensions }), {
    hop: 'workspace',
    requestId,
  })
  const metadata = Object.fromEntries(
    Object.entries(body).map(([key, value]) => [key, String(value)]),
  )
  const info = {
    '@type': ERROR_INFO,
    reason: failure.code.toUpperCase(),
    domain: 'atrium',
    metadata,
  }
  const data = dialect === '1.0' ? [info] : body
  return rpcError({ id, code: INTERNAL_ERROR, message: body.error, data })
}

/** Soon: a place gets free with every turn that ends, and the platform is told of it at once. */
const BUSY_RETRY_SECONDS = 2
/** Nobody tells when there is room on the disk again. */
const LACK_RETRY_SECONDS = 30

/**
 * No place for this message, and nothing of it is kept. The platform knows it by `code` beside the
 * JSON-RPC error, and queues the message (ADR-0032). With a `lack` it says in `reason` that it is not
 * the agent that has too much to do.
 */
export function busyAnswer(facts: RequestFacts, requestId: string, lack?: StorageLack): A2aAnswer {
  const retryAfter = lack === undefined ? BUSY_RETRY_SECONDS : LACK_RETRY_SECONDS
  const reason = lack === undefined ? {} : { reason: lack }
  const error = new AppError('agent_busy', {
    extensions: { retry_after: retryAfter, ...reason },
  })
  const { status, body } = describeFailure(error, { hop: 'workspace', requestId })
  const { error: _, ...members } = body
  // As texts: the caller's id would lose digits on the way through JSON.parse.
  const envelope = failureError(facts, { code: 'agent_busy', requestId, ...detailOf(lack) })
  return {
    kind: 'json',
    status,
    headers: { 'Retry-After': String(retryAfter) },
    body: `${JSON.stringify(members).slice(0, -1)},${envelope.slice(1)}`,
  }
}

function detailOf(lack: StorageLack | undefined): { readonly detail?: string } {
  return lack === undefined ? {} : { detail: lack }
}
