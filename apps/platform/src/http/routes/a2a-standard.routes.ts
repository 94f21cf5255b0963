/**
 * @module What stands at the address that agent cards tell: `/a2a/:id` and everything below it, as
 * the specifications of A2A have it (contract/a2a 1.1, 2.5). With a trailing slash and without.
 */
import { AppError } from '@atrium/http-kit/app-error'
import { type Context, Hono } from 'hono'
import { toJsonRpcError } from '../a2a-problem.ts'
import type { WorkspaceEnv } from '../env.ts'
import { type A2aDeps, answerRpc } from './a2a.routes.ts'

/** Below `/a2a/:id`. */
export function a2aStandardRoutes(deps: A2aDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.post('/*', (c) => (pathOf(c) === '' ? answerRpc(deps, c, 'standard') : nothingThere(c)))
  return app
}

/** What of the path names the operation: `message:send`; empty where JSON-RPC is spoken. */
export function pathOf(c: Context<WorkspaceEnv>): string {
  return c.req.path.replace(/^\/a2a\/[^/]*/, '').replace(/^\/|\/$/g, '')
}

function nothingThere(c: Context<WorkspaceEnv>): Response {
  return toJsonRpcError(c, new AppError('not_found'), 'standard')
}
