/** @module /workspaces/:id/sessions/:sessionId/files: looking into a session (contract/runtime 20). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { isSessionId, type SessionId } from '@atrium/path-safety/session-path'
import {
  parseContentWindow,
  parseListPage,
  parsePreviewWindow,
} from '@atrium/runtime-contract/inspection-query'
import { type Context, Hono } from 'hono'
import {
  type InspectSessionDeps,
  inspectSession,
} from '../../services/inspector/inspect-session.ts'
import type { SessionOperation } from '../../services/inspector/session-transport.ts'
import type { WorkspaceEnv } from '../env.ts'
import { askedInSession, askedQuery, assertShownInSession } from '../inspection-request.ts'

type SessionContext = Context<WorkspaceEnv, `/sessions/:sessionId/files${string}`>

export function sessionFilesRoutes(deps: InspectSessionDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/sessions/:sessionId/files', (c) =>
    inspect(deps, c, () => ({ kind: 'list', page: askedQuery(c, parseListPage) })),
  )
  app.get('/sessions/:sessionId/files/preview', (c) =>
    inspect(deps, c, () => ({ kind: 'preview', window: askedQuery(c, parsePreviewWindow) })),
  )
  app.get('/sessions/:sessionId/files/download', (c) =>
    inspect(deps, c, () => ({ kind: 'content', window: askedQuery(c, parseContentWindow) })),
  )
  return app
}

/** In the contract's order: session, path, the rest of the query; then somebody is asked (20.4). */
async function inspect(
  deps: InspectSessionDeps,
  c: SessionContext,
  readOperation: () => SessionOperation,
): Promise<Response> {
  const session = askedSession(c.req.param('sessionId'))
  const path = askedInSession(c)
  const operation = readOperation()
  assertShownInSession(path)
  const workspaceId = c.get('workspaceId')
  const asked = { workspaceId, session, path, operation, requestId: c.get('requestId') }
  return rawExchange(c, (exchange) => inspectSession(deps, asked, exchange))
}

function askedSession(text: string): SessionId {
  if (!isSessionId(text)) throw new AppError('invalid_session_id')
  return text
}
