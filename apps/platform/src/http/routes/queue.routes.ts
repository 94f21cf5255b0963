/** @module Messages in the ledger: for who sent them, for who gets them, for operators (4.7, 4.8). */
import { Hono } from 'hono'
import { countQueue, dropStaleDeliveries } from '../../services/delivery/operate-queue.ts'
import { cancelQueueEntry, readQueueEntry } from '../../services/delivery/queue-entry.ts'
import { replyToDelivery } from '../../services/delivery/reply-to-delivery.ts'
import type { AppEnv, WorkspaceEnv } from '../env.ts'
import { readBody } from '../read-json.ts'
import {
  parseQueueWorkspace,
  parseReply,
  parseStaleQuery,
  renderQueueCounts,
  renderQueueEntry,
} from '../wire/queue.wire.ts'

type QueueDeps = Parameters<typeof readQueueEntry>[0]

const MAX_REPLY_BYTES = 1024 * 1024

/** Whom a message concerns is judged where the message is. */
export function queueRoutes(deps: QueueDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/a2a/queue/:queueId', async (c) => {
    const question = {
      caller: c.get('caller'),
      workspaceId: c.get('workspaceId'),
      queueId: c.req.param('queueId'),
    }
    return c.json(renderQueueEntry(await readQueueEntry(deps, question)))
  })
  app.delete('/a2a/queue/:queueId', async (c) => {
    const queueId = c.req.param('queueId')
    const workspaceId = c.get('workspaceId')
    await cancelQueueEntry(deps, { caller: c.get('caller'), workspaceId, queueId })
    return c.json({ status: 'dropped', queue_id: queueId })
  })
  return app
}

/** Of the agent that fetches its messages. */
export function queueReplyRoutes(deps: QueueDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.post('/a2a/queue/:queueId/reply', async (c) => {
    const queueId = c.req.param('queueId')
    const answer = parseReply(await readBody(c, MAX_REPLY_BYTES))
    const workspaceId = c.get('workspaceId')
    const { isRepetition } = await replyToDelivery(deps, { workspaceId, queueId, answer })
    const duplicate = isRepetition ? { duplicate: true } : {}
    return c.json({ status: 'completed', queue_id: queueId, ...duplicate })
  })
  return app
}

export function queueAdminRoutes(deps: QueueDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/admin/a2a-queue', async (c) => {
    const workspaceId = parseQueueWorkspace((name) => c.req.query(name))
    return c.json(renderQueueCounts(await countQueue(deps, workspaceId)))
  })
  app.post('/admin/a2a-queue/drop-stale', async (c) => {
    const stale = parseStaleQuery((name) => c.req.query(name))
    return c.json({ dropped: await dropStaleDeliveries(deps, stale) })
  })
  return app
}
