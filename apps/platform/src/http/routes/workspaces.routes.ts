/** @module /workspaces: create, list, read, delete, console (contract/platform 1.2, 7). */
import { AppError } from '@atrium/http-kit/app-error'
import { Hono } from 'hono'
import { mayActFor } from '../../domain/caller.ts'
import { parseWorkspaceId, type WorkspaceId } from '../../domain/ids.ts'
import { type CreateDeps, createWorkspace } from '../../services/create-workspace.ts'
import { getState, getWorkspace, listWorkspaces } from '../../services/find-workspace.ts'
import { updateWorkspace } from '../../services/update-workspace.ts'
import { auditContext } from '../audit-context.ts'
import type { AppEnv, WorkspaceEnv } from '../env.ts'
import { type PublicUrlDeps, publicUrl } from '../public-url.ts'
import { readJson } from '../read-json.ts'
import type { ConnectionFacts } from '../wire/connection.wire.ts'
import { parsePatchBody } from '../wire/update-workspace.wire.ts'
import {
  parseCreateBody,
  renderCreated,
  renderPublicWorkspace,
  renderSingleWorkspace,
  renderState,
  renderWorkspace,
} from '../wire/workspace.wire.ts'

const MAX_BODY_BYTES = 1024 * 1024
const MAX_PATCH_BYTES = 64 * 1024
const DEFAULT_CONSOLE_BYTES = 64 * 1024
/** Contract/platform 7.10: a console answer is at most 256 KiB. */
const MAX_CONSOLE_BYTES = 256 * 1024

export type WorkspacesDeps = CreateDeps & PublicUrlDeps & Pick<ConnectionFacts, 'orgId'>

function requireId(text: string): WorkspaceId {
  const id = parseWorkspaceId(text)
  if (id === undefined) throw new AppError('invalid_workspace_id')
  return id
}

/** Operators' routes. */
export function workspacesAdminRoutes(deps: WorkspacesDeps): Hono<AppEnv> {
  const urlOf = publicUrl(deps)
  const app = new Hono<AppEnv>()
  app.get('/workspaces', async (c) => {
    const rows = await listWorkspaces(deps.db)
    return c.json(rows.map(renderWorkspace))
  })
  app.post('/workspaces', async (c) => {
    const body = await readJson(c, MAX_BODY_BYTES).catch((cause: unknown) => {
      throw cause instanceof AppError && cause.code === 'payload_too_large'
        ? cause
        : new AppError('invalid_workspace_payload', { cause })
    })
    const created = await createWorkspace(deps, parseCreateBody(body), auditContext(c))
    const connection = { platformUrl: urlOf(c), orgId: deps.orgId }
    return c.json(renderCreated(created, connection), 201)
  })
  app.delete('/workspaces/:id', async (c) => {
    const removal = await deps.lifecycle.remove(requireId(c.req.param('id')), {
      isConfirmed: c.req.query('confirm') === 'true',
      isPurge: c.req.query('purge') === 'true',
    })
    return c.json({ status: removal.status, cascade_deleted: removal.cascadeDeleted })
  })
  app.get('/workspaces/:id/console', async (c) => {
    const row = await getWorkspace(deps.db, requireId(c.req.param('id')))
    const maxBytes = consoleBytes(c.req.query('tail_bytes'))
    return c.json({ output: await deps.lifecycle.readConsole(row, maxBytes) })
  })
  return app
}

/** For the workspace itself and its operators. */
export function workspaceRoutes(deps: Pick<WorkspacesDeps, 'db' | 'clock'>): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.patch('/', async (c) => {
    const patch = parsePatchBody(await readJson(c, MAX_PATCH_BYTES))
    const change = { id: c.get('workspaceId'), patch, caller: c.get('caller') }
    const { needsRestart } = await updateWorkspace(deps, change)
    return c.json({ status: 'updated', ...(needsRestart ? { needs_restart: true } : {}) })
  })
  app.get('/state', async (c) => c.json(renderState(await getState(deps.db, c.get('workspaceId')))))
  return app
}

/** The single read is open (contract/platform 1.2); who has no business there sees less. */
export function workspacePublicRoutes(deps: Pick<WorkspacesDeps, 'db'>): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/workspaces/:id', async (c) => {
    const id = requireId(c.req.param('id'))
    const row = await getWorkspace(deps.db, id)
    return c.json(
      mayActFor(c.get('caller'), id) ? renderSingleWorkspace(row) : renderPublicWorkspace(row),
    )
  })
  return app
}

function consoleBytes(text: string | undefined): number {
  if (text === undefined) return DEFAULT_CONSOLE_BYTES
  const bytes = Number(text)
  if (!Number.isInteger(bytes) || bytes < 1) {
    throw new AppError('invalid_query', { message: 'tail_bytes must be a positive integer' })
  }
  return Math.min(bytes, MAX_CONSOLE_BYTES)
}
