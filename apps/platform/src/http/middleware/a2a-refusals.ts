/** @module What a scope says to who may not speak to an agent, in the words of A2A (contract/a2a 2.5). */
import { parseRpcRequest } from '@atrium/a2a-schema/json-rpc'
import { findAppError } from '@atrium/http-kit/app-error'
import type { Context, MiddlewareHandler } from 'hono'
import { databaseProblem } from '../../services/database-problem.ts'
import { GatewayFailure } from '../../services/gateway/gateway-call.ts'
import { askedBy } from '../../services/gateway/readable-message.ts'
import type { WorkspaceEnv } from '../env.ts'
import { readBody } from '../read-json.ts'

/** Of who is nobody so much is read, to be able to name the request that is refused. */
const MAX_STRANGER_BYTES = 64 * 1024

export type RenderRefusal = (c: Context<WorkspaceEnv>, thrown: unknown) => Response

/** `guard`, whose refusals are rendered by `render`. */
export function a2aRefusals(
  guard: MiddlewareHandler<WorkspaceEnv>,
  render: RenderRefusal,
): MiddlewareHandler<WorkspaceEnv> {
  return async function refuseAsA2a(c, next) {
    try {
      return await guard(c, next)
    } catch (error) {
      if (findAppError(error) === undefined && databaseProblem(error) === undefined) throw error
      return render(c, new GatewayFailure(await askedOf(c), { cause: error }))
    }
  }
}

const NOT_READ = { id: null, dialect: 'unknown' } as const

async function askedOf(c: Context<WorkspaceEnv>): Promise<Pick<GatewayFailure, 'id' | 'dialect'>> {
  const length = Number(c.req.header('content-length') ?? 0)
  if (c.req.method !== 'POST' || !(length > 0 && length <= MAX_STRANGER_BYTES)) return NOT_READ
  try {
    const body = await readBody(c, MAX_STRANGER_BYTES)
    const parsed = parseRpcRequest(body, { uuid: () => '' })
    return parsed.ok ? askedBy(parsed.request) : { ...NOT_READ, id: parsed.error.id }
  } catch {
    // Cut off, or too slow: the refusal stands.
    return NOT_READ
  }
}
