/** @module POST /workspaces/:id/a2a: JSON-RPC to the workspace's agent (contract/platform 4). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { Hono } from 'hono'
import { callWorkspace, type GatewayDeps } from '../../services/gateway/call-workspace.ts'
import { GatewayFailure } from '../../services/gateway/gateway-call.ts'
import { toJsonRpcError } from '../a2a-problem.ts'
import type { WorkspaceEnv } from '../env.ts'
import { readBody } from '../read-json.ts'
import { piecesOf, writeAnswer } from '../write-answer.ts'

/** Contract/platform 4.12. Files travel by reference, not inside messages. */
const MAX_REQUEST_BYTES = 1024 * 1024

export type A2aDeps = GatewayDeps & {
  /** A client that takes nothing of its answer for so long is given up. */
  readonly clientIdleTimeoutMs: number
}

export function a2aRoutes(deps: A2aDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.post('/a2a', async (c) => {
    try {
      const body = await readBody(c, MAX_REQUEST_BYTES)
      return await rawExchange(c, async (exchange) => {
        const { outgoing, signal } = exchange
        const answer = await callWorkspace(deps, {
          workspaceId: c.get('workspaceId'),
          caller: c.get('caller'),
          body,
          headers: (name) => c.req.header(name),
          requestId: c.get('requestId'),
          signal,
        })
        signal.throwIfAborted()
        if (answer.kind === 'json') {
          outgoing.writeHead(answer.status, {
            'Content-Type': 'application/json',
            'Content-Length': answer.body.length,
          })
          await writeAnswer(exchange, piecesOf(answer.body), deps.clientIdleTimeoutMs)
          return
        }
        outgoing.writeHead(answer.status, {
          'Content-Type': 'text/event-stream',
          'Cache-Control': 'no-store',
          'X-Accel-Buffering': 'no',
        })
        outgoing.flushHeaders()
        await writeAnswer(exchange, answer.body, deps.clientIdleTimeoutMs)
      })
    } catch (error) {
      if (error instanceof GatewayFailure || error instanceof AppError) {
        return toJsonRpcError(c, error)
      }
      throw error
    }
  })
  return app
}
