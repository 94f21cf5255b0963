/** @module Mounts routes behind the scope they belong to. */
import type { Hono, MiddlewareHandler } from 'hono'
import type { AppEnv, WorkspaceEnv } from './env.ts'

/** Which of the audiences a route has; the route-by-identity test reads it back. */
export type ScopeName = 'public' | 'peer' | 'workspace' | 'admin' | 'self'

export type MountedRoute = {
  readonly method: string
  readonly path: string
  readonly scope: ScopeName
}

/**
 * Registers every route of `routes` below `prefix` with `guard` in front of it. Per route, not as a
 * wildcard: a guard can neither leak onto a neighbour's route nor miss one that is added later.
 */
export function mountScope(
  app: Hono<AppEnv>,
  scope: {
    readonly name: ScopeName
    readonly prefix: string
    // biome-ignore lint/suspicious/noExplicitAny: a guard may add variables; Hono's types are invariant
    readonly guard: MiddlewareHandler<any>
    readonly routes: Hono<AppEnv> | Hono<WorkspaceEnv>
  },
): MountedRoute[] {
  return scope.routes.routes.map((route) => {
    const path = `${scope.prefix}${route.path}`.replace(/(?<=.)\/$/, '')
    app.on(route.method, path, scope.guard, route.handler)
    return { method: route.method, path, scope: scope.name }
  })
}
