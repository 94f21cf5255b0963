/** @module POST /workspaces/:id/a2a: JSON-RPC to the workspace's agent (contract/platform 4). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { type Context, Hono } from 'hono'
import { callWorkspace, type GatewayDeps } from '../../services/gateway/call-workspace.ts'
import { GatewayFailure } from '../../services/gateway/gateway-call.ts'
import { type Surface, toJsonRpcError } from '../a2a-problem.ts'
import type { WorkspaceEnv } from '../env.ts'
import { readBody } from '../read-json.ts'
import { writeA2aAnswer } from '../write-a2a-answer.ts'

/** Contract/platform 4.12. Files travel by reference, not inside messages. */
export const MAX_REQUEST_BYTES = 1024 * 1024

export type A2aDeps = GatewayDeps & {
  /** A client that takes nothing of its answer for so long is given up. */
  readonly clientIdleTimeoutMs: number
}

/** Below `/workspaces/:id`. */
export function a2aRoutes(deps: A2aDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.post('/a2a', (c) => answerRpc(deps, c, 'platform'))
  return app
}

export async function answerRpc(
  deps: A2aDeps,
  c: Context<WorkspaceEnv>,
  surface: Surface,
): Promise<Response> {
  try {
    const body = await readBody(c, MAX_REQUEST_BYTES)
    return await rawExchange(c, async (exchange) => {
      const answer = await callWorkspace(deps, {
        workspaceId: c.get('workspaceId'),
        caller: c.get('caller'),
        body,
        headers: headersOf(c),
        requestId: c.get('requestId'),
        signal: exchange.signal,
      })
      await writeA2aAnswer(exchange, answer, deps.clientIdleTimeoutMs)
    })
  } catch (error) {
    const isKnown = error instanceof GatewayFailure || error instanceof AppError
    if (isKnown || surface === 'standard') return toJsonRpcError(c, error, surface)
    throw error
  }
}

/** The version may also be asked for in the query (contract/a2a 1.8). */
export function headersOf(c: Context<WorkspaceEnv>): (name: string) => string | undefined {
  return (name) =>
    c.req.header(name) ?? (name === 'a2a-version' ? c.req.query('A2A-Version') : undefined)
}
