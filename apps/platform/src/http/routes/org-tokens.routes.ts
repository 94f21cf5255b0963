/** @module /org/tokens: operators' tokens (contract/platform 3.3). */
import { AppError } from '@atrium/http-kit/app-error'
import { type Context, Hono } from 'hono'
import type { AuditDeps } from '../../services/audit-trail.ts'
import { listOrgTokens, mintOrgToken, revokeOrganisationToken } from '../../services/org-tokens.ts'
import { auditContext } from '../audit-context.ts'
import type { AppEnv } from '../env.ts'
import { readOptionalJson } from '../read-json.ts'
import {
  parseOrgTokenBody,
  parseTokenId,
  renderMintedOrgToken,
  renderOrgTokenList,
} from '../wire/token.wire.ts'

const MAX_BODY_BYTES = 16 * 1024

export type OrgTokensDeps = AuditDeps & {
  /** Throws `rate_limit_exceeded` when too many come from where this request comes from. */
  readonly admitMint: (c: Context<AppEnv>) => void
}

export function orgTokensRoutes(deps: OrgTokensDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/org/tokens', async (c) => c.json(renderOrgTokenList(await listOrgTokens(deps))))
  app.post('/org/tokens', async (c) => {
    deps.admitMint(c)
    const { name } = parseOrgTokenBody(await readOptionalJson(c, MAX_BODY_BYTES))
    const caller = c.get('caller')
    if (caller.kind !== 'operator') throw new AppError('admin_auth_required')
    const minted = await mintOrgToken(deps, { name, caller, requestId: c.get('requestId') })
    return c.json(renderMintedOrgToken(minted), 200, { 'Cache-Control': 'no-store' })
  })
  app.delete('/org/tokens/:id', async (c) => {
    const id = parseTokenId(c.req.param('id'))
    await revokeOrganisationToken(deps, { id, by: auditContext(c) })
    return c.json({ revoked: id })
  })
  return app
}
