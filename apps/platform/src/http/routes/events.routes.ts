/** @module Events of workspaces: as streams, and the last ones (contract/platform 1.1, 1.4, 9). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { Hono } from 'hono'
import { parseWorkspaceId } from '../../domain/ids.ts'
import { listEvents } from '../../services/list-events.ts'
import type { AppEnv, WorkspaceEnv } from '../env.ts'
import { lastEventId } from '../event-stream-request.ts'
import { renderEvent } from '../wire/event.wire.ts'
import { type EventStreamDeps, writeEventStream } from '../write-event-stream.ts'

export function workspaceEventRoutes(deps: EventStreamDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/events/stream', (c) =>
    rawExchange(c, (exchange) =>
      writeEventStream(deps, exchange, {
        workspaceId: c.get('workspaceId'),
        lastEventId: lastEventId(c),
        isStillAdmitted: c.get('isStillAdmitted'),
      }),
    ),
  )
  return app
}

export function adminEventRoutes(deps: EventStreamDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/events', async (c) => c.json((await listEvents(deps.db)).map(renderEvent)))
  app.get('/events/stream', (c) =>
    rawExchange(c, (exchange) =>
      writeEventStream(deps, exchange, {
        workspaceId: undefined,
        lastEventId: lastEventId(c),
        isStillAdmitted: c.get('isStillAdmitted'),
      }),
    ),
  )
  app.get('/events/:workspaceId', async (c) => {
    const id = parseWorkspaceId(c.req.param('workspaceId'))
    if (id === undefined) throw new AppError('invalid_workspace_id')
    return c.json((await listEvents(deps.db, id)).map(renderEvent))
  })
  return app
}
