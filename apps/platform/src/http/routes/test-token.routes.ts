/** @module /admin/workspaces/:id/test-token: its own gate, outside every scope (contract 3.7). */
import { AppError } from '@atrium/http-kit/app-error'
import { type Context, Hono } from 'hono'
import { parseWorkspaceId } from '../../domain/ids.ts'
import {
  admitTestTokenRequest,
  mintTestToken,
  type TestTokenDeps,
} from '../../services/mint-test-token.ts'
import { auditContext } from '../audit-context.ts'
import type { AppEnv } from '../env.ts'

const PATH = '/admin/workspaces/:id/test-token'

/** The contract's GET has an effect (wart W17); whoever may choose takes the POST. */
export function testTokenRoutes(deps: TestTokenDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  const mint = async (c: Context<AppEnv, typeof PATH>): Promise<Response> => {
    c.set('caller', await admitTestTokenRequest(deps, c.req.header('authorization')))
    refuseBystanders(c)
    const workspaceId = parseWorkspaceId(c.req.param('id'))
    if (workspaceId === undefined) throw new AppError('invalid_workspace_id')
    const token = await mintTestToken(deps, { workspaceId, by: auditContext(c) })
    const answer = { auth_token: token.reveal(), workspace_id: workspaceId }
    return c.json(answer, 200, { 'Cache-Control': 'no-store' })
  }
  app.get(PATH, mint)
  app.post(PATH, mint)
  return app
}

/** Whoever only looks, and a web page that makes its reader's browser ask, must not mint anything. */
function refuseBystanders(c: Context<AppEnv>): void {
  // Hono answers HEAD by the handler of GET.
  if (c.req.method === 'HEAD') {
    throw new AppError('method_not_allowed', { headers: { Allow: 'GET, POST' } })
  }
  const isPrefetch = /prefetch|prerender/.test(c.req.header('sec-purpose') ?? '')
  const isForeign = ['cross-site', 'same-site'].includes(c.req.header('sec-fetch-site') ?? '')
  if (isPrefetch || isForeign)
    throw new AppError('origin_not_allowed', { message: 'origin not allowed' })
}
