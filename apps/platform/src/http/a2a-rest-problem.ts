/** @module Failures of the REST bindings: of JSON-RPC's twin only the clothes are different (H14). */
import { parseLossless } from '@atrium/a2a-schema/lossless-json'
import type { Context } from 'hono'
import { GatewayFailure } from '../services/gateway/gateway-call.ts'
import { faultData } from './a2a-fault-data.ts'
import { describeFault } from './a2a-problem.ts'
import type { AppEnv } from './env.ts'
import { restError, statusOfCode } from './rest-answer.ts'
import type { RestDialect } from './rest-call.ts'

export function toRestError<E extends AppEnv>(
  c: Context<E>,
  thrown: unknown,
  dialect: RestDialect,
): Response {
  const fault = describeFault(c, thrown, 'standard')
  const { code, message } = fault
  const isRefusal = thrown instanceof GatewayFailure && thrown.rpc !== undefined
  const status = isRefusal ? statusOfCode(code) : fault.httpStatus
  const data = parseLossless(JSON.stringify(faultData(fault, dialect, 'standard') ?? null))
  const body = restError({ code, message, data }, status, dialect)
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...fault.headers, 'Content-Type': 'application/json' },
  })
}
