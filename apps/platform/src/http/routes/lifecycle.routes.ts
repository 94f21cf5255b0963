/** @module Restart, pause, resume, hibernate, wake (contract/platform 1.2, 7.6). */
import { Hono } from 'hono'
import type { WorkspaceLifecycle } from '../../services/workspace-lifecycle.ts'
import type { WorkspaceEnv } from '../env.ts'
import { readBody } from '../read-json.ts'
import { parseRestartBody } from '../wire/lifecycle.wire.ts'

export type LifecycleRouteDeps = { readonly lifecycle: WorkspaceLifecycle }

const MAX_BODY_BYTES = 64 * 1024

/** For the workspace itself and its operators. */
export function lifecycleRoutes({ lifecycle }: LifecycleRouteDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.post('/restart', async (c) => {
    const body = await readBody(c, MAX_BODY_BYTES)
    parseRestartBody(body, c.req.query('reset'))
    await lifecycle.restart(c.get('workspaceId'))
    // What the volume holds stays: /configs/config.yaml is written anew from the row.
    return c.json({ status: 'provisioning', config_dir: 'existing-volume', reset_session: false })
  })
  app.post('/pause', async (c) => {
    const pausedCount = await lifecycle.pause(c.get('workspaceId'))
    return c.json({ status: 'paused', paused_count: pausedCount })
  })
  app.post('/resume', async (c) => {
    const resumedCount = await lifecycle.resume(c.get('workspaceId'))
    return c.json({ status: 'provisioning', resumed_count: resumedCount })
  })
  app.post('/hibernate', async (c) => {
    const isForced = c.req.query('force') === 'true'
    await lifecycle.hibernate(c.get('workspaceId'), { isForced })
    return c.json({ status: 'hibernated' })
  })
  app.post('/wake', async (c) => {
    const isWoken = await lifecycle.wake(c.get('workspaceId'))
    return c.json({ status: isWoken ? 'provisioning' : 'awake' })
  })
  return app
}
