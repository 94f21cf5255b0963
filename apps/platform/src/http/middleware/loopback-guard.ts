/**
 * @module Open development mode has no credentials, so a web page in the same browser must not be
 * able to drive it: DNS rebinding is stopped by the Host, cross-site requests by the Origin.
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '../env.ts'

const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

export function loopbackGuard(options: {
  readonly allowedOrigins: readonly string[]
}): MiddlewareHandler<AppEnv> {
  return async function guardLoopback(c, next) {
    const host = c.req.header('host') ?? ''
    const own = URL.parse(`http://${host}`)
    if (own === null || !LOOPBACK_NAMES.has(own.hostname)) throw new AppError('host_not_allowed')
    const origin = c.req.header('origin')
    if (
      origin !== undefined &&
      origin !== `http://${host}` &&
      !options.allowedOrigins.includes(origin)
    ) {
      throw new AppError('origin_not_allowed')
    }
    return next()
  }
}
