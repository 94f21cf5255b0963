/** @module The platform's credential in front of everything that is not public (contract/runtime 1.3). */
import { AppError } from '@atrium/http-kit/app-error'
import { bearerHeaderMatchesAny } from '@atrium/http-kit/bearer'
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '../env.ts'

/** What the platform may present now, more than one while it changes; with none nobody gets in. */
export type InboundSecret = { accepted(): readonly string[] }

export type InboundAuthDeps = {
  readonly inboundSecret: InboundSecret
  /** `RUNTIME_A2A_OPEN=1`: the agent answers anybody, `/internal` still only the platform. */
  readonly isA2aOpen: boolean
}

// What a readiness probe and a foreign agent may see without a credential (architecture 3).
const PUBLIC_PATHS: ReadonlySet<string> = new Set([
  '/health',
  '/.well-known/agent-card.json',
  '/.well-known/agent.json',
])

/**
 * Refuses with `unauthorized` before anything else of a request is looked at. Everything is
 * guarded unless it is named here, so a route that is added later is guarded too. Without a secret
 * nothing matches: it fails closed.
 */
export function inboundAuth(deps: InboundAuthDeps): MiddlewareHandler<AppEnv> {
  return async function inboundAuthMiddleware(c, next) {
    if (isPublic(c.req.method, c.req.path, deps.isA2aOpen)) return next()
    const isPlatform = bearerHeaderMatchesAny(
      c.req.header('authorization'),
      deps.inboundSecret.accepted(),
    )
    if (!isPlatform) throw new AppError('unauthorized')
    return next()
  }
}

function isPublic(method: string, path: string, isA2aOpen: boolean): boolean {
  if (method === 'GET' || method === 'HEAD') {
    if (PUBLIC_PATHS.has(path)) return true
  }
  return isA2aOpen && path !== '/internal' && !path.startsWith('/internal/')
}
