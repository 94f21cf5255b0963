/** @module The file API's headers on every answer below it, refusals included (design/path-safety 5). */
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '../env.ts'

/** Answers on the raw exchange write the same headers themselves. */
export function fileSecurityHeaders(): MiddlewareHandler<AppEnv> {
  return async function fileSecurityHeadersMiddleware(c, next) {
    await next()
    for (const [name, value] of Object.entries(FILE_SECURITY_HEADERS)) c.header(name, value)
  }
}
