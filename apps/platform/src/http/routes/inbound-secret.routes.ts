/** @module /workspaces/:id/inbound-secret: how it stands, and its rotation (ADR-0024). */
import { Hono } from 'hono'
import { auditActor } from '../../domain/audit.ts'
import { getWorkspace } from '../../services/find-workspace.ts'
import { type RotationDeps, rotateInboundSecret } from '../../services/inbound-secret-rotation.ts'
import type { WorkspaceLifecycle } from '../../services/workspace-lifecycle.ts'
import type { WorkspaceEnv } from '../env.ts'
import { renderInboundSecret } from '../wire/inbound-secret.wire.ts'

export type InboundSecretDeps = RotationDeps & { readonly lifecycle: WorkspaceLifecycle }

export function inboundSecretRoutes(deps: InboundSecretDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/inbound-secret', async (c) =>
    c.json(renderInboundSecret(await getWorkspace(deps.db, c.get('workspaceId')))),
  )
  app.post('/inbound-secret/rotate', async (c) => {
    const workspaceId = c.get('workspaceId')
    const by = { actor: auditActor(c.get('caller')), requestId: c.get('requestId') }
    const row = await rotateInboundSecret(deps, { workspaceId, reason: 'asked', by })
    deps.lifecycle.deliverInboundSecret(workspaceId)
    return c.json(renderInboundSecret(row), 202)
  })
  return app
}
