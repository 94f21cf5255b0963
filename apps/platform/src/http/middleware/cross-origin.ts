/**
 * @module CORS (contract/platform 1.0 stage 3). Not `hono/cors`: it writes to `c.res`, which a raw
 * exchange does not send, and tells strangers that credentials are welcome (ADR-0021).
 */
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '../env.ts'

const METHODS = 'GET, POST, PUT, PATCH, DELETE, OPTIONS'
const REQUEST_HEADERS = 'Origin, Content-Type, X-Workspace-ID, Authorization'
/** What a page may read besides the body: names, ranges, and when to come back. */
const RESPONSE_HEADERS =
  'Content-Disposition, Content-Range, ETag, Retry-After, X-Next-Since-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id'

/** Lets pages of exactly these origins use the platform; every other gets no permission. */
export function crossOrigin(options: {
  readonly allowedOrigins: readonly string[]
}): MiddlewareHandler<AppEnv> {
  const allowed = new Set(options.allowedOrigins)
  return async function answerCrossOrigin(c, next) {
    const origin = c.req.header('origin')
    const outgoing = c.env.outgoing
    outgoing?.setHeader('Vary', 'Origin')
    const isAllowed = origin !== undefined && allowed.has(origin)
    if (isAllowed) {
      outgoing?.setHeader('Access-Control-Allow-Origin', origin)
      outgoing?.setHeader('Access-Control-Allow-Credentials', 'true')
      outgoing?.setHeader('Access-Control-Expose-Headers', RESPONSE_HEADERS)
    }
    const isPreflight =
      origin !== undefined &&
      c.req.method === 'OPTIONS' &&
      c.req.header('access-control-request-method') !== undefined
    if (!isPreflight) return next()
    if (isAllowed) {
      outgoing?.setHeader('Access-Control-Allow-Methods', METHODS)
      outgoing?.setHeader('Access-Control-Allow-Headers', REQUEST_HEADERS)
    }
    return c.body(null, 204)
  }
}
