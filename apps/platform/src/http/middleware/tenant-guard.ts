/** @module Requests for another tenant find nothing here (contract/platform 1.0 stage 6). */
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '../env.ts'

/** Exactly these: probes, and agents that know nothing of tenants. */
const OPEN_PATHS: ReadonlySet<string> = new Set([
  '/health',
  '/metrics',
  '/registry/register',
  '/registry/heartbeat',
])

/** The empty 404 tells nobody that there is a platform. Not mounted without an organisation. */
export function tenantGuard(orgId: string): MiddlewareHandler<AppEnv> {
  const replayState = `state=${orgId}`
  return async function guardTenant(c, next) {
    const { path } = c.req
    const isOurs =
      OPEN_PATHS.has(path) ||
      path.startsWith('/cp/') ||
      c.req.header('x-molecule-org-id') === orgId ||
      segmentsOf(c.req.header('fly-replay-src')).includes(replayState)
    return isOurs ? next() : c.body(null, 404)
  }
}

function segmentsOf(header: string | undefined): string[] {
  return (header ?? '').split(';').map((segment) => segment.trim())
}
