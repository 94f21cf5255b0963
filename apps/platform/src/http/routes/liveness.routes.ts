/** @module GET /admin/liveness (contract/platform 1.1): are the reconcilers at work? */
import { Hono } from 'hono'
import { readLiveness } from '../../services/sweeps/sweep-record.ts'
import type { AppEnv } from '../env.ts'
import { renderLiveness } from '../wire/liveness.wire.ts'

export function livenessRoutes(deps: Parameters<typeof readLiveness>[0]): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/admin/liveness', async (c) => c.json(renderLiveness(await readLiveness(deps))))
  return app
}
