/** @module Teams of a workspace: expand and collapse (contract/platform 1.2, 7.8). */
import { Hono } from 'hono'
import {
  collapseWorkspace,
  type ExpandDeps,
  expandWorkspace,
} from '../../services/expand-workspace.ts'
import type { WorkspaceEnv } from '../env.ts'

/** For the workspace itself and its operators. */
export function teamRoutes(deps: ExpandDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.post('/expand', async (c) => {
    const children = await expandWorkspace(deps, c.get('workspaceId'))
    return c.json({ status: 'expanded', children })
  })
  app.post('/collapse', async (c) => {
    const removed = await collapseWorkspace(deps, c.get('workspaceId'))
    return c.json({ status: 'collapsed', removed })
  })
  return app
}
