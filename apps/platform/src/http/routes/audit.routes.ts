/** @module GET /admin/audit: what happened to credentials, and which were refused. */
import { Hono } from 'hono'
import type { AuditDeps } from '../../services/audit-trail.ts'
import { readAuditTrail } from '../../services/audit-trail.ts'
import type { AppEnv } from '../env.ts'
import { parseAuditQuery, renderAuditPage } from '../wire/audit.wire.ts'

export function auditRoutes(deps: Pick<AuditDeps, 'db'>): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/admin/audit', async (c) => {
    const page = await readAuditTrail(deps.db, parseAuditQuery(c.req.query()))
    return c.json(renderAuditPage(page))
  })
  return app
}
