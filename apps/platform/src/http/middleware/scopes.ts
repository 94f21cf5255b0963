/**
 * @module The auth scopes (contract/platform 1.0, 3.4): a property of where a route is mounted,
 * never an `if` in a handler (H11).
 */
import { AppError } from '@atrium/http-kit/app-error'
import { bearerCredential } from '@atrium/http-kit/bearer'
import type { Context, MiddlewareHandler } from 'hono'
import { type Caller, isInternalName, mayActFor, OPERATOR } from '../../domain/caller.ts'
import { parseWorkspaceId } from '../../domain/ids.ts'
import type { AppEnv, WorkspaceEnv } from '../env.ts'

export type ScopeDeps = {
  readonly authenticate: (authorization: string | undefined) => Promise<Caller>
  readonly isAdminScopeOpen: boolean
  readonly isWorkspaceScopeOpen: boolean
}

function hasBearer(c: Context): boolean {
  return bearerCredential(c.req.header('authorization')) !== undefined
}

/** Operators only. In open development everybody on this machine is one. */
export function adminScope(deps: ScopeDeps): MiddlewareHandler<AppEnv> {
  return async function adminAuth(c, next) {
    if (deps.isAdminScopeOpen) {
      c.set('caller', OPERATOR)
      return next()
    }
    if (!hasBearer(c)) throw new AppError('admin_auth_required')
    const caller = await deps.authenticate(c.req.header('authorization'))
    // A workspace token never administers anything (contract/platform 3.4 AdminAuth 7).
    if (caller.kind !== 'operator') throw new AppError('invalid_admin_token')
    c.set('caller', caller)
    return next()
  }
}

/** The operator, or the workspace that the path names. No database call without a bearer. */
export function workspaceScope(deps: ScopeDeps): MiddlewareHandler<WorkspaceEnv> {
  return async function workspaceAuth(c, next) {
    const caller = await workspaceCaller(deps, c)
    const id = parseWorkspaceId(c.req.param('id') ?? '')
    if (caller.kind === 'workspace' && (id === undefined || !mayActFor(caller, id))) {
      throw new AppError('invalid_workspace_token')
    }
    if (id === undefined) throw new AppError('invalid_workspace_id')
    c.set('caller', caller)
    c.set('workspaceId', id)
    return next()
  }
}

/**
 * Who speaks to an agent: the operator or any workspace, known by its bearer alone (contract/platform
 * 3.8, wart W15). Whether the two may talk is judged where the message is.
 */
export function peerScope(deps: ScopeDeps): MiddlewareHandler<WorkspaceEnv> {
  return async function peerAuth(c, next) {
    const named = c.req.header('x-workspace-id')
    if (named !== undefined && isInternalName(named)) throw new AppError('invalid_caller_id')
    const caller = await workspaceCaller(deps, c)
    const id = parseWorkspaceId(c.req.param('id') ?? '')
    if (id === undefined) throw new AppError('invalid_workspace_id')
    // The header may agree with the bearer, and says nothing that the bearer does not.
    const self = caller.kind === 'workspace' ? caller.workspaceId : id
    if (named !== undefined && named !== '' && parseWorkspaceId(named) !== self) {
      throw new AppError('invalid_caller_token')
    }
    c.set('caller', caller)
    c.set('workspaceId', id)
    return next()
  }
}

async function workspaceCaller(deps: ScopeDeps, c: Context): Promise<Caller> {
  if (!hasBearer(c)) {
    if (deps.isWorkspaceScopeOpen) return OPERATOR
    throw new AppError('missing_workspace_token')
  }
  const caller = await deps.authenticate(c.req.header('authorization'))
  if (caller.kind === 'anonymous') throw new AppError('invalid_workspace_token')
  return caller
}

/** Everybody; who presents a credential is known by it, a wrong one is nobody's. */
export function publicScope(deps: ScopeDeps): MiddlewareHandler<AppEnv> {
  return async function identify(c, next) {
    const isOpen = deps.isAdminScopeOpen && !hasBearer(c)
    c.set('caller', isOpen ? OPERATOR : await deps.authenticate(c.req.header('authorization')))
    return next()
  }
}
