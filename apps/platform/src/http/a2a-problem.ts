/** @module The JSON-RPC twin of the error renderer (H14; contract/a2a 2.5, platform surface). */
import { rpcError } from '@atrium/a2a-schema/json-rpc'
import { logFailure } from '@atrium/hono-kit/problem'
import {
  AppError,
  describeFailure,
  type FailureDescription,
  findAppError,
} from '@atrium/http-kit/app-error'
import type { Context } from 'hono'
import { databaseProblem } from '../services/database-problem.ts'
import { GatewayFailure } from '../services/gateway/gateway-call.ts'
import type { AppEnv } from './env.ts'

const INVALID_REQUEST = -32600
const INTERNAL_ERROR = -32603
const INVALID_AGENT_RESPONSE = -32006

/** Any failure of an A2A request as a JSON-RPC error with the caller's own id. */
export function toJsonRpcError<E extends AppEnv>(c: Context<E>, thrown: unknown): Response {
  const failure = thrown instanceof GatewayFailure ? thrown : undefined
  const requestId = c.get('requestId')
  const rpc = failure?.rpc
  if (rpc !== undefined) {
    const described = describeFailure(new AppError('invalid_request_body'), {
      hop: 'platform',
      requestId,
    })
    const details = typeof rpc.data === 'object' && rpc.data !== null ? rpc.data : {}
    return respond(
      c,
      { status: 400, headers: {} },
      {
        id: rpc.id,
        code: rpc.code,
        message: rpc.message,
        data: { ...described.body, error: rpc.message, ...details },
      },
    )
  }
  const cause = failure?.cause ?? thrown
  const known = findAppError(cause) ?? databaseProblem(cause)
  logFailure(c.get('log'), known ?? cause)
  const described = describeFailure(known ?? cause, { hop: 'platform', requestId })
  return respond(c, described, {
    id: failure?.id ?? null,
    code: rpcCode(known),
    message: described.body.error,
    data: described.body,
  })
}

function rpcCode(error: AppError | undefined): number {
  if (error === undefined) return INTERNAL_ERROR
  if (error.code === 'workspace_invalid_response') return INVALID_AGENT_RESPONSE
  return error.status < 500 ? INVALID_REQUEST : INTERNAL_ERROR
}

function respond<E extends AppEnv>(
  c: Context<E>,
  answer: Pick<FailureDescription, 'status' | 'headers'>,
  error: Parameters<typeof rpcError>[0],
): Response {
  return c.newResponse(rpcError(error), {
    status: answer.status,
    headers: { ...answer.headers, 'Content-Type': 'application/json' },
  })
}
