/** @module The platform's routes behind their scopes: pure wiring, no I/O (H10, H11). */
import { earlyAnswer } from '@atrium/hono-kit/early-answer'
import { notFoundHandler, problemHandler } from '@atrium/hono-kit/problem'
import { requestContext } from '@atrium/hono-kit/request-context'
import { Hono } from 'hono'
import type { AppDeps } from './deps.ts'
import { toJsonRpcError } from './http/a2a-problem.ts'
import type { AppEnv } from './http/env.ts'
import { a2aRefusals } from './http/middleware/a2a-refusals.ts'
import { type ClientAddress, clientAddress } from './http/middleware/client-address.ts'
import { crossOrigin } from './http/middleware/cross-origin.ts'
import { loopbackGuard } from './http/middleware/loopback-guard.ts'
import { orgTokenMintLimit, rateLimit } from './http/middleware/rate-limit.ts'
import {
  adminScope,
  peerScope,
  publicScope,
  type ScopeDeps,
  workspaceScope,
} from './http/middleware/scopes.ts'
import { securityHeaders } from './http/middleware/security-headers.ts'
import { tenantGuard } from './http/middleware/tenant-guard.ts'
import { type MountedRoute, mountScope, type ScopeName } from './http/mount-scope.ts'
import { a2aRoutes } from './http/routes/a2a.routes.ts'
import { a2aStandardRoutes, renderRefusal } from './http/routes/a2a-standard.routes.ts'
import { activityRoutes } from './http/routes/activity.routes.ts'
import { apiReferenceRoutes } from './http/routes/api-reference.routes.ts'
import { auditRoutes } from './http/routes/audit.routes.ts'
import { chatFilesRoutes } from './http/routes/chat-files.routes.ts'
import { delegationRoutes } from './http/routes/delegations.routes.ts'
import { discoveryRoutes } from './http/routes/discovery.routes.ts'
import { adminEventRoutes, workspaceEventRoutes } from './http/routes/events.routes.ts'
import { filesRoutes } from './http/routes/files.routes.ts'
import { healthRoutes } from './http/routes/health.routes.ts'
import { inboundSecretRoutes } from './http/routes/inbound-secret.routes.ts'
import { jobControlRoutes } from './http/routes/job-control.routes.ts'
import { failedStartRoutes, lifecycleRoutes } from './http/routes/lifecycle.routes.ts'
import { livenessRoutes } from './http/routes/liveness.routes.ts'
import { metricsRoutes } from './http/routes/metrics.routes.ts'
import { orgTokensRoutes } from './http/routes/org-tokens.routes.ts'
import { queueAdminRoutes, queueReplyRoutes, queueRoutes } from './http/routes/queue.routes.ts'
import { heartbeatRoutes, registryRoutes } from './http/routes/registry.routes.ts'
import { sessionFilesRoutes } from './http/routes/session-files.routes.ts'
import { teamRoutes } from './http/routes/teams.routes.ts'
import { testTokenRoutes } from './http/routes/test-token.routes.ts'
import { workspaceTokensRoutes } from './http/routes/workspace-tokens.routes.ts'
import {
  workspacePublicRoutes,
  workspaceRoutes,
  workspacesAdminRoutes,
} from './http/routes/workspaces.routes.ts'
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
  const addressOf = clientAddress(deps.trustedProxies)
  useEdge(app, deps, addressOf)
  const scopes: ScopeDeps = {
    authenticate: (authorization, requestId) =>
      authenticateOrUnavailable(deps, authorization, requestId),
    refusedUses: deps.refusedUses,
    isAdminScopeOpen: deps.isAdminScopeOpen,
    isWorkspaceScopeOpen: deps.isWorkspaceScopeOpen,
    sessions: deps.sessionCheck,
    allowedOrigins: deps.allowedOrigins,
  }
  const guards: Readonly<Record<GuardName, Guard>> = {
    none: async (_, next) => next(),
    identity: publicScope(scopes),
    peer: a2aRefusals(peerScope(scopes), (c, thrown) => toJsonRpcError(c, thrown, 'platform')),
    a2a: a2aRefusals(peerScope(scopes), renderRefusal),
    workspace: workspaceScope(scopes),
    admin: adminScope(scopes),
  }
  const routes: MountedRoute[] = []
  const reference = apiReferenceRoutes({ ...deps, mountedRoutes: () => routes })
  const mounts = [
    { name: 'public', guard: 'none', prefix: '', routes: reference } as const,
    ...mountsOf(deps, addressOf),
  ]
  for (const { guard, ...mount } of mounts) {
    routes.push(...mountScope(app, { ...mount, guard: guards[guard] }))
  }
  return { app, routes }
}

/** What every request goes through, in the order of contract/platform 1.0. */
function useEdge(app: Hono<AppEnv>, deps: AppDeps, addressOf: ClientAddress): void {
  app.use(requestContext(deps), earlyAnswer())
  app.use(securityHeaders(), crossOrigin(deps))
  app.use(
    rateLimit({
      limit: deps.rateLimit,
      clock: deps.clock,
      clientAddress: addressOf,
      isUnlimited: deps.isAdminScopeOpen,
    }),
  )
  if (deps.orgId !== undefined) app.use(tenantGuard(deps.orgId))
  if (deps.isAdminScopeOpen) app.use(loopbackGuard(deps))
}

/** `identity` says who is there and admits everybody; `none` does not even ask. */
type GuardName = 'none' | 'identity' | 'peer' | 'a2a' | 'workspace' | 'admin'
type Guard = Parameters<typeof mountScope>[1]['guard']

type Mount = {
  readonly name: ScopeName
  readonly guard: GuardName
  readonly prefix: string
  readonly routes: Parameters<typeof mountScope>[1]['routes']
}

/** Who may call what: the one table of it. A new routes file is a line here. */
function mountsOf(deps: AppDeps, addressOf: ClientAddress): readonly Mount[] {
  const workspace = { name: 'workspace', guard: 'workspace', prefix: '/workspaces/:id' } as const
  const admin = { name: 'admin', guard: 'admin', prefix: '' } as const
  return [
    { name: 'public', guard: 'none', prefix: '', routes: healthRoutes(deps) },
    { name: 'self', guard: 'none', prefix: '', routes: testTokenRoutes(deps) },
    { name: 'self', guard: 'identity', prefix: '/registry', routes: registryRoutes(deps) },
    { name: 'self', guard: 'none', prefix: '/registry', routes: heartbeatRoutes(deps) },
    { name: 'self', guard: 'identity', prefix: '/registry', routes: discoveryRoutes(deps) },
    { name: 'public', guard: 'identity', prefix: '', routes: workspacePublicRoutes(deps) },
    { ...workspace, routes: workspaceRoutes(deps) },
    { ...workspace, routes: chatFilesRoutes(deps) },
    { ...workspace, routes: filesRoutes(deps) },
    { ...workspace, routes: sessionFilesRoutes(deps) },
    { ...workspace, routes: activityRoutes(deps) },
    { ...workspace, routes: metricsRoutes(deps) },
    { name: 'peer', guard: 'peer', prefix: '/workspaces/:id', routes: a2aRoutes(deps) },
    { name: 'peer', guard: 'a2a', prefix: '/a2a/:id', routes: a2aStandardRoutes(deps) },
    { name: 'peer', guard: 'peer', prefix: '/workspaces/:id', routes: queueRoutes(deps) },
    { ...workspace, routes: queueReplyRoutes(deps) },
    { ...workspace, routes: delegationRoutes(deps) },
    { ...workspace, routes: lifecycleRoutes(deps) },
    { ...workspace, routes: teamRoutes(deps) },
    { ...workspace, routes: workspaceTokensRoutes(deps) },
    { ...workspace, routes: inboundSecretRoutes(deps) },
    { ...workspace, routes: workspaceEventRoutes(deps) },
    { ...admin, routes: workspacesAdminRoutes(deps) },
    { ...admin, routes: jobControlRoutes(deps) },
    { ...admin, routes: auditRoutes(deps) },
    {
      ...admin,
      routes: orgTokensRoutes({ ...deps, admitMint: orgTokenMintLimit(deps, addressOf) }),
    },
    { ...admin, routes: livenessRoutes(deps) },
    { ...admin, routes: queueAdminRoutes(deps) },
    { ...admin, routes: failedStartRoutes(deps) },
    { ...admin, routes: adminEventRoutes(deps) },
  ]
}
