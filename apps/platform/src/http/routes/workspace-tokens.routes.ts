/** @module /workspaces/:id/tokens (contract/platform 3.2). */
import { Hono } from 'hono'
import type { CredentialDeps } from '../../services/workspace-credentials.ts'
import {
  listWorkspaceTokens,
  mintUserToken,
  revokeWorkspaceToken,
} from '../../services/workspace-tokens.ts'
import { auditContext } from '../audit-context.ts'
import type { WorkspaceEnv } from '../env.ts'
import {
  parseTokenId,
  parseTokenQuery,
  renderMintedToken,
  renderTokenList,
} from '../wire/token.wire.ts'

export function workspaceTokensRoutes(deps: CredentialDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/tokens', async (c) => {
    const page = parseTokenQuery(c.req.query())
    const workspaceId = c.get('workspaceId')
    return c.json(renderTokenList(await listWorkspaceTokens(deps, { ...page, workspaceId })))
  })
  app.post('/tokens', async (c) => {
    const workspaceId = c.get('workspaceId')
    const token = await mintUserToken(deps, { workspaceId, by: auditContext(c) })
    return c.json(renderMintedToken(token, workspaceId), 201, { 'Cache-Control': 'no-store' })
  })
  app.delete('/tokens/:tokenId', async (c) => {
    const id = parseTokenId(c.req.param('tokenId'))
    const workspaceId = c.get('workspaceId')
    await revokeWorkspaceToken(deps, { id, workspaceId, by: auditContext(c) })
    return c.json({ status: 'revoked' })
  })
  return app
}
