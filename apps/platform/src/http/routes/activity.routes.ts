/** @module A workspace's activity, and what its agent says by itself (contract/platform 5). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { type Context, Hono } from 'hono'
import { acknowledgeActivity } from '../../services/acknowledge-activity.ts'
import { type FollowActivityDeps, followActivity } from '../../services/follow-activity.ts'
import { type ReadActivityDeps, readActivity } from '../../services/read-activity.ts'
import {
  notifyPeople,
  type ReportActivityDeps,
  reportActivity,
} from '../../services/report-activity.ts'
import type { WorkspaceEnv } from '../env.ts'
import { lastEventId, wantsEventStream } from '../event-stream-request.ts'
import { parseBody, readJson } from '../read-json.ts'
import {
  acknowledgementBody,
  parseActivityQuery,
  parseFollowQuery,
  parseNotification,
  parseReport,
  renderAcknowledgement,
  renderActivity,
  renderActivityFrame,
} from '../wire/activity.wire.ts'
import { type FrameStreamDeps, writeFrames } from '../write-frames.ts'

const MAX_BODY_BYTES = 1024 * 1024

type ActivityDeps = ReadActivityDeps & ReportActivityDeps & FollowActivityDeps & FrameStreamDeps

export function activityRoutes(deps: ActivityDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/activity', async (c) => {
    if (wantsEventStream(c)) return followOnStream(deps, c)
    const { rows, nextId } = await readActivity(deps, {
      ...parseActivityQuery((name) => c.req.query(name)),
      workspaceId: c.get('workspaceId'),
      caller: c.get('caller'),
      signal: c.req.raw.signal,
    })
    if (nextId !== undefined) c.header('X-Next-Since-Id', nextId)
    return c.json(rows.map(renderActivity))
  })
  app.post('/activity', async (c) => {
    const report = parseReport(await readJson(c, MAX_BODY_BYTES))
    await reportActivity(deps, c.get('workspaceId'), report)
    return c.json({ status: 'logged' })
  })
  app.post('/activity/ack', async (c) => {
    const given = parseBody(acknowledgementBody, await readJson(c, MAX_BODY_BYTES))
    await acknowledgeActivity(deps, c.get('workspaceId'), given)
    return c.json(renderAcknowledgement(given))
  })
  app.post('/notify', async (c) => {
    const message = parseNotification(await readJson(c, MAX_BODY_BYTES))
    const { isDuplicate } = await notifyPeople(deps, c.get('workspaceId'), message)
    return c.json({ status: 'sent', ...(isDuplicate ? { duplicate: true } : {}) })
  })
  return app
}

function followOnStream(deps: ActivityDeps, c: Context<WorkspaceEnv>): Promise<Response> {
  const request = parseFollowQuery((name) => c.req.query(name), lastEventId(c))
  const workspaceId = c.get('workspaceId')
  return rawExchange(c, (exchange) =>
    writeFrames(deps, exchange, {
      items: followActivity(deps, { ...request, workspaceId, signal: exchange.signal }),
      render: renderActivityFrame,
      isStillAdmitted: c.get('isStillAdmitted'),
    }),
  )
}
