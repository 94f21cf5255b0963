/** @module The runtime's routes behind their one scope: pure wiring, no I/O (H10, H11). */
import { earlyAnswer } from '@atrium/hono-kit/early-answer'
import { notFoundHandler, problemHandler } from '@atrium/hono-kit/problem'
import { requestContext } from '@atrium/hono-kit/request-context'
import { Hono } from 'hono'
import type { AppDeps } from './deps.ts'
import type { AppEnv } from './http/env.ts'
import { fileSecurityHeaders } from './http/middleware/file-security-headers.ts'
import { inboundAuth } from './http/middleware/inbound-auth.ts'
import { noServiceWorker } from './http/middleware/no-service-worker.ts'
import { chatUploadsRoutes } from './http/routes/chat-uploads.routes.ts'
import { fileArchiveRoutes } from './http/routes/file-archive.routes.ts'
import { fileContentRoutes } from './http/routes/file-content.routes.ts'
import { fileListRoutes } from './http/routes/file-list.routes.ts'
import { filePreviewRoutes } from './http/routes/file-preview.routes.ts'
import { fileReadRoutes } from './http/routes/file-read.routes.ts'
import { healthRoutes } from './http/routes/health.routes.ts'

/** Builds the app; every test and `main.ts` use this one. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.onError(problemHandler({ hop: 'workspace' }))
  app.notFound(notFoundHandler({ hop: 'workspace' }))
  app.use(requestContext(deps))
  app.use(earlyAnswer())
  app.use('/internal/*', fileSecurityHeaders())
  app.use(inboundAuth(deps))
  app.use('/internal/file/*', noServiceWorker())
  app.route('/', healthRoutes())
  app.route('/', fileReadRoutes(deps))
  app.route('/', fileListRoutes(deps))
  app.route('/', filePreviewRoutes(deps))
  app.route('/', fileContentRoutes(deps))
  app.route('/', fileArchiveRoutes(deps))
  app.route('/', chatUploadsRoutes(deps))
  deps.mountAgent?.(app)
  return app
}
