/**
 * @module Headers for browsers (contract/platform 1.0 stage 7). Not `hono/secure-headers`: it writes
 * to `c.res` once the handler is done, and a raw exchange has gone by then (ADR-0021).
 */
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '../env.ts'

const HEADERS: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
  'Referrer-Policy': 'strict-origin-when-cross-origin',
  'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
  'Content-Security-Policy': "default-src 'self'",
}

/** Defaults: what a handler says itself replaces them, as the file routes do. */
export function securityHeaders(): MiddlewareHandler<AppEnv> {
  return async function setSecurityHeaders(c, next) {
    for (const [name, value] of Object.entries(HEADERS)) c.env.outgoing?.setHeader(name, value)
    return next()
  }
}
