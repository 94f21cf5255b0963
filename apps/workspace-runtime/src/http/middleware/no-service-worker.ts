/** @module No file is a service worker's script, whichever route shows it (design/path-safety 5). */
import { AppError } from '@atrium/http-kit/app-error'
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '../env.ts'

/** As one, a file of the workspace could take over the origin that it is read from. */
export function noServiceWorker(): MiddlewareHandler<AppEnv> {
  return async function noServiceWorkerMiddleware(c, next) {
    if (c.req.header('service-worker') === 'script') throw new AppError('file_forbidden')
    return next()
  }
}
