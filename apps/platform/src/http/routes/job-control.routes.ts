/** @module /workspaces/:id/job-control: which host its sessions are looked into through. */
import { AppError } from '@atrium/http-kit/app-error'
import { Hono } from 'hono'
import { parseWorkspaceId, type WorkspaceId } from '../../domain/ids.ts'
import {
  getJobControl,
  type JobControlDeps,
  removeJobControl,
  setJobControl,
} from '../../services/inspector/job-control.ts'
import { auditContext } from '../audit-context.ts'
import type { AppEnv } from '../env.ts'
import { readJson } from '../read-json.ts'
import { parseJobControlBody, renderJobControl } from '../wire/job-control.wire.ts'

const MAX_BODY_BYTES = 16 * 1024

/** Operators' routes: a workspace must not send its platform elsewhere. */
export function jobControlRoutes(deps: JobControlDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.put('/workspaces/:id/job-control', async (c) => {
    const workspaceId = requireId(c.req.param('id'))
    const host = parseJobControlBody(await readJson(c, MAX_BODY_BYTES))
    const facts = await setJobControl(deps, { workspaceId, ...host, by: auditContext(c) })
    return c.json(renderJobControl(facts))
  })
  app.get('/workspaces/:id/job-control', async (c) =>
    c.json(renderJobControl(await getJobControl(deps, requireId(c.req.param('id'))))),
  )
  app.delete('/workspaces/:id/job-control', async (c) => {
    const workspaceId = requireId(c.req.param('id'))
    await removeJobControl(deps, { workspaceId, by: auditContext(c) })
    return c.json({ status: 'removed' })
  })
  return app
}

function requireId(text: string): WorkspaceId {
  const id = parseWorkspaceId(text)
  if (id === undefined) throw new AppError('invalid_workspace_id')
  return id
}
