/** @module The platform's routes behind their scopes: pure wiring, no I/O (H10, H11). */
import { earlyAnswer } from '@atrium/hono-kit/early-answer'
import { notFoundHandler, problemHandler } from '@atrium/hono-kit/problem'
import { requestContext } from '@atrium/hono-kit/request-context'
import { Hono } from 'hono'
import type { AppDeps } from './deps.ts'
import type { AppEnv } from './http/env.ts'
import { loopbackGuard } from './http/middleware/loopback-guard.ts'
import {
  adminScope,
  publicScope,
  type ScopeDeps,
  workspaceScope,
} from './http/middleware/scopes.ts'
import { type MountedRoute, mountScope } from './http/mount-scope.ts'
import { a2aRoutes } from './http/routes/a2a.routes.ts'
import { chatFilesRoutes } from './http/routes/chat-files.routes.ts'
import { healthRoutes } from './http/routes/health.routes.ts'
import { registryRoutes } from './http/routes/registry.routes.ts'
import { testTokenRoutes } from './http/routes/test-token.routes.ts'
import { workspacePublicRoutes, workspacesAdminRoutes } from './http/routes/workspaces.routes.ts'
import { authenticateOrUnavailable } from './services/authenticate-caller.ts'
import { databaseProblem } from './services/database-problem.ts'

export type PlatformApp = {
  readonly app: Hono<AppEnv>
  /** Every route with its scope, for the test that walks them all (H41). */
  readonly routes: readonly MountedRoute[]
}

/** Builds the app; every test and `main.ts` use this one. */
export function createApp(deps: AppDeps): PlatformApp {
  const app = new Hono<AppEnv>()
  app.onError(problemHandler({ hop: 'platform', recognise: databaseProblem }))
  app.notFound(notFoundHandler({ hop: 'platform' }))
  app.use(requestContext(deps), earlyAnswer())
  if (deps.isAdminScopeOpen) app.use(loopbackGuard(deps))
  const scopes: ScopeDeps = {
    authenticate: (authorization) => authenticateOrUnavailable(deps, authorization),
    isAdminScopeOpen: deps.isAdminScopeOpen,
    isWorkspaceScopeOpen: deps.isWorkspaceScopeOpen,
  }
  const open = publicScope(scopes)
  const workspace = workspaceScope(scopes)
  const admin = adminScope(scopes)
  const routes = [
    ...mountScope(app, {
      name: 'public',
      prefix: '',
      guard: async (_, next) => next(),
      routes: healthRoutes(deps),
    }),
    ...mountScope(app, {
      name: 'self',
      prefix: '',
      guard: async (_, next) => next(),
      routes: testTokenRoutes(deps),
    }),
    ...mountScope(app, {
      name: 'self',
      prefix: '/registry',
      guard: open,
      routes: registryRoutes(deps),
    }),
    ...mountScope(app, {
      name: 'public',
      prefix: '',
      guard: open,
      routes: workspacePublicRoutes(deps),
    }),
    ...mountScope(app, {
      name: 'workspace',
      prefix: '/workspaces/:id',
      guard: workspace,
      routes: chatFilesRoutes(deps),
    }),
    ...mountScope(app, {
      name: 'workspace',
      prefix: '/workspaces/:id',
      guard: workspace,
      routes: a2aRoutes(deps),
    }),
    ...mountScope(app, {
      name: 'admin',
      prefix: '',
      guard: admin,
      routes: workspacesAdminRoutes(deps),
    }),
  ]
  return { app, routes }
}
