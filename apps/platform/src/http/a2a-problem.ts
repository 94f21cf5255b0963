/**
 * @module The JSON-RPC twin of the error renderer (H14), for both surfaces and both dialects
 * (contract/a2a 2.5): the id is always the caller's own.
 */
import type { RpcId } from '@atrium/a2a-schema/json-rpc'
import type { Dialect } from '@atrium/a2a-schema/method'
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
import { RPC, type RpcProblem } from '../services/gateway/rpc-problem.ts'
import { type A2aFault, faultData } from './a2a-fault-data.ts'
import type { AppEnv } from './env.ts'

/** `platform`: the contract's route, which says with the status what is wrong. `standard`: A2A's. */
export type Surface = 'platform' | 'standard'

export type DescribedFault = A2aFault & {
  readonly id: RpcId
  readonly dialect: Dialect
  readonly status: number
  /** The status where every failure has one. */
  readonly httpStatus: number
  readonly headers: Readonly<Record<string, string>>
}

/** Any failure of an A2A request, ready to be written as JSON-RPC or as REST. Logs what is ours. */
export function describeFault<E extends AppEnv>(
  c: Context<E>,
  thrown: unknown,
  surface: Surface,
): DescribedFault {
  const failure = thrown instanceof GatewayFailure ? thrown : undefined
  const asked = { id: failure?.id ?? null, dialect: failure?.dialect ?? ('unknown' as const) }
  const context = { hop: 'platform', requestId: c.get('requestId') } as const
  if (failure?.rpc !== undefined) return { ...asked, ...refusal(failure.rpc, context, surface) }
  const cause = failure?.cause ?? thrown
  const known = concealed(findAppError(cause) ?? databaseProblem(cause), surface)
  logFailure(c.get('log'), known ?? cause)
  const described = describeFailure(known ?? cause, context)
  return {
    ...asked,
    code: rpcCode(known),
    message: described.body.error,
    reason: REASONS[described.body.code] ?? described.body.code.toUpperCase(),
    contract: described.body,
    retryAfterSeconds: secondsOf(described.body['retry_after']),
    status: statusOf(known, described, surface),
    httpStatus: statusOf(known, described, 'platform'),
    headers: { ...described.headers, ...challenge(described.status) },
  }
}

/** The failure as a JSON-RPC reply. */
export function toJsonRpcError<E extends AppEnv>(
  c: Context<E>,
  thrown: unknown,
  surface: Surface,
): Response {
  const fault = describeFault(c, thrown, surface)
  const { id, code, message, status, headers } = fault
  const error = { code, message, data: faultData(fault, fault.dialect, surface) }
  const beside = surface === 'platform' ? contractFields(fault.contract) : {}
  return c.newResponse(JSON.stringify({ jsonrpc: '2.0', id, error, ...beside }), {
    // biome-ignore lint/nursery/noUnsafeTypeAssertion: a status of the table, or one that an agent sent
    status: status as FailureDescription['status'],
    headers: { ...headers, 'Content-Type': 'application/json' },
  })
}

/** What the contract's own callers read at the top of a failure (contract/platform 4.2, 4.5). */
const CONTRACT_FIELDS = ['restarting', 'waking', 'busy', 'native_session', 'retry_after'] as const

function contractFields(contract: FailureDescription['body']): Record<string, unknown> {
  const given = CONTRACT_FIELDS.filter((name) => name !== 'retry_after' && contract[name] === true)
  if (given.length === 0) return {}
  return Object.fromEntries(
    CONTRACT_FIELDS.flatMap((name) => (name in contract ? [[name, contract[name]]] : [])),
  )
}

function refusal(
  rpc: RpcProblem,
  context: Parameters<typeof describeFailure>[1],
  surface: Surface,
): Omit<DescribedFault, 'id' | 'dialect'> {
  const described = describeFailure(new AppError('invalid_request_body'), context)
  return {
    code: rpc.code,
    message: rpc.message,
    reason: undefined,
    contract: { ...described.body, error: rpc.message },
    details: rpc.data,
    status: surface === 'standard' ? 200 : refusalStatus(rpc.code),
    httpStatus: refusalStatus(rpc.code),
    headers: {},
  }
}

function refusalStatus(code: number): number {
  if (code === RPC.contentTypeNotSupported) return 415
  return code === RPC.taskNotFound ? 404 : 400
}

/** Whose words are not the code's own. */
const REASONS: Readonly<Record<string, string>> = {
  agent_restarting: 'AGENT_UNAVAILABLE',
  agent_unreachable: 'AGENT_UNAVAILABLE',
  workspace_invalid_response: 'INVALID_AGENT_RESPONSE',
}

/** On the surface that everybody may know of, who may not talk to a workspace learns nothing of it. */
function concealed(known: AppError | undefined, surface: Surface): AppError | undefined {
  const isForeign = surface === 'standard' && known?.code === 'access_denied'
  return isForeign ? new AppError('workspace_not_found') : known
}

/** What of HTTP stays HTTP on the standard surface; everything else is a 200 with an error in it. */
const PLAIN_STATUSES: ReadonlySet<number> = new Set([401, 403, 404, 413, 429, 500, 503])

function statusOf(
  known: AppError | undefined,
  described: FailureDescription,
  surface: Surface,
): number {
  if (surface === 'standard') return PLAIN_STATUSES.has(described.status) ? described.status : 200
  const upstream = known?.code === 'agent_error' ? known.extensions['upstream_status'] : undefined
  return typeof upstream === 'number' ? upstream : described.status
}

function challenge(status: number): Record<string, string> {
  return status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}
}

function secondsOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function rpcCode(error: AppError | undefined): number {
  if (error === undefined) return RPC.internalError
  if (error.code === 'workspace_invalid_response') return RPC.invalidAgentResponse
  return error.status < 500 ? RPC.invalidRequest : RPC.internalError
}
