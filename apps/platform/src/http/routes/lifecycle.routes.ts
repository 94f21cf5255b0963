/** @module Restart, pause, resume, hibernate, wake (contract/platform 1.2, 7.6). */
import { AppError } from '@atrium/http-kit/app-error'
import { Hono } from 'hono'
import { parseWorkspaceId } from '../../domain/ids.ts'
import type { WorkspaceLifecycle } from '../../services/workspace-lifecycle.ts'
import type { AppEnv, WorkspaceEnv } from '../env.ts'
import { readBody, readJson } from '../read-json.ts'
import { parseFailedStart, parseRestartBody } from '../wire/lifecycle.wire.ts'

export type LifecycleRouteDeps = { readonly lifecycle: WorkspaceLifecycle }

const MAX_BODY_BYTES = 64 * 1024

/** For the workspace itself and its operators. */
export function lifecycleRoutes({ lifecycle }: LifecycleRouteDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.post('/restart', async (c) => {
    const body = await readBody(c, MAX_BODY_BYTES)
    const options = parseRestartBody(body, c.req.query('reset'))
    const template = await lifecycle.restart(c.get('workspaceId'), options)
    return c.json({
      status: 'provisioning',
      config_dir: template ?? 'existing-volume',
      reset_session: false,
    })
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

/** For control planes: contract/platform 7.9. */
export function failedStartRoutes({ lifecycle }: LifecycleRouteDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post('/admin/workspaces/:id/bootstrap-failed', async (c) => {
    const id = parseWorkspaceId(c.req.param('id'))
    if (id === undefined) throw new AppError('invalid_workspace_id')
    const report = parseFailedStart(await readJson(c, MAX_BODY_BYTES))
    const isFailed = await lifecycle.reportFailedStart(id, report)
    return c.json(isFailed ? { ok: true } : { ok: true, no_change: true })
  })
  return app
}
