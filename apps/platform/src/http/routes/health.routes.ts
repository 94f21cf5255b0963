/** @module Liveness and readiness for orchestrators. */

import { AppError } from '@atrium/http-kit/app-error'
import { Hono } from 'hono'
import type { AppEnv } from '../env.ts'

export type HealthDeps = {
  /** Rejects when the database does not answer. */
  readonly pingDatabase: () => Promise<void>
  readonly isShuttingDown: () => boolean
}

/** GET /health: the process answers. GET /ready: it can also serve. */
export function healthRoutes(deps: HealthDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/health', (c) => c.json({ status: 'ok' }))
  app.get('/ready', async (c) => {
    if (deps.isShuttingDown()) throw new AppError('shutting_down')
    try {
      await deps.pingDatabase()
    } catch (cause) {
      throw new AppError('platform_unavailable', { cause })
    }
    return c.json({ status: 'ready' })
  })
  return app
}
