/** @module GET /workspaces/:id/metrics: what its agent says its answers have cost. */
import { Hono } from 'hono'
import { type ReadUsageDeps, readUsage } from '../../services/read-usage.ts'
import type { WorkspaceEnv } from '../env.ts'
import { parseMetricsQuery, renderMetrics } from '../wire/metrics.wire.ts'

export function metricsRoutes(deps: ReadUsageDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/metrics', async (c) => {
    const { days } = parseMetricsQuery(c.req.query())
    const usage = await readUsage(deps, { workspaceId: c.get('workspaceId'), days })
    return c.json(renderMetrics(usage))
  })
  return app
}
