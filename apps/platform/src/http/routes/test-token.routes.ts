/** @module GET /admin/workspaces/:id/test-token: its own gate, outside every scope (contract 3.7). */
import { AppError } from '@atrium/http-kit/app-error'
import { Hono } from 'hono'
import { parseWorkspaceId } from '../../domain/ids.ts'
import {
  admitTestTokenRequest,
  mintTestToken,
  type TestTokenDeps,
} from '../../services/mint-test-token.ts'
import type { AppEnv } from '../env.ts'

export function testTokenRoutes(deps: TestTokenDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/admin/workspaces/:id/test-token', async (c) => {
    admitTestTokenRequest(deps, c.req.header('authorization'))
    const id = parseWorkspaceId(c.req.param('id'))
    if (id === undefined) throw new AppError('invalid_workspace_id')
    const token = await mintTestToken(deps, id)
    return c.json({ auth_token: token.reveal(), workspace_id: id })
  })
  return app
}
