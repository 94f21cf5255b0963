/** @module Delegations of a workspace's agent (contract/platform 4.10). */
import { AppError } from '@atrium/http-kit/app-error'
import { Hono } from 'hono'
import {
  type DelegateDeps,
  delegate,
  readDelegations,
  recordDelegation,
  reportDelegation,
} from '../../services/delegation/delegate.ts'
import type { WorkspaceEnv } from '../env.ts'
import { readJson } from '../read-json.ts'
import {
  parseDelegate,
  parseRecord,
  parseUpdate,
  renderDelegation,
} from '../wire/delegation.wire.ts'

const MAX_BODY_BYTES = 512 * 1024
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export function delegationRoutes(deps: DelegateDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.post('/delegate', async (c) => {
    const request = parseDelegate(await readJson(c, MAX_BODY_BYTES))
    const workspaceId = c.get('workspaceId')
    const { delegation, isNew } = await delegate(deps, { ...request, workspaceId })
    const named = { delegation_id: delegation.id, target_id: delegation.targetId }
    if (isNew) return c.json({ ...named, status: 'delegated' }, 202)
    return c.json({ ...named, status: delegation.status, idempotent_hit: true })
  })
  app.get('/delegations', async (c) => {
    const delegations = await readDelegations(deps, c.get('workspaceId'))
    return c.json(delegations.map(renderDelegation))
  })
  app.post('/delegations/record', async (c) => {
    const recorded = parseRecord(await readJson(c, MAX_BODY_BYTES))
    await recordDelegation(deps, { ...recorded, workspaceId: c.get('workspaceId') })
    return c.json({ delegation_id: recorded.id, status: 'recorded' }, 202)
  })
  app.post('/delegations/:delegationId/update', async (c) => {
    const id = c.req.param('delegationId').toLowerCase()
    const end = parseUpdate(await readJson(c, MAX_BODY_BYTES))
    if (!UUID.test(id)) throw new AppError('delegation_not_found')
    await reportDelegation(deps, { workspaceId: c.get('workspaceId'), id, end })
    return c.json({ delegation_id: id, status: end.status })
  })
  return app
}
