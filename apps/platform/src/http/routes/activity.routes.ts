/** @module A workspace's activity, and what its agent says by itself (contract/platform 5). */
import { Hono } from 'hono'
import { type ReadActivityDeps, readActivity } from '../../services/read-activity.ts'
import {
  notifyPeople,
  type ReportActivityDeps,
  reportActivity,
} from '../../services/report-activity.ts'
import type { WorkspaceEnv } from '../env.ts'
import { readJson } from '../read-json.ts'
import {
  parseActivityQuery,
  parseNotification,
  parseReport,
  renderActivity,
} from '../wire/activity.wire.ts'

const MAX_BODY_BYTES = 1024 * 1024

export function activityRoutes(deps: ReadActivityDeps & ReportActivityDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/activity', async (c) => {
    const rows = await readActivity(deps, {
      ...parseActivityQuery((name) => c.req.query(name)),
      workspaceId: c.get('workspaceId'),
      caller: c.get('caller'),
      signal: c.req.raw.signal,
    })
    return c.json(rows.map(renderActivity))
  })
  app.post('/activity', async (c) => {
    const report = parseReport(await readJson(c, MAX_BODY_BYTES))
    await reportActivity(deps, c.get('workspaceId'), report)
    return c.json({ status: 'logged' })
  })
  app.post('/notify', async (c) => {
    const message = parseNotification(await readJson(c, MAX_BODY_BYTES))
    const { isDuplicate } = await notifyPeople(deps, c.get('workspaceId'), message)
    return c.json({ status: 'sent', ...(isDuplicate ? { duplicate: true } : {}) })
  })
  return app
}
