/**
 * @module The auth scopes (contract/platform 1.0, 3.4): a property of where a route is mounted,
 * never an `if` in a handler (H11).
 */
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import { bearerCredential } from '@atrium/http-kit/bearer'
import type { Context, MiddlewareHandler } from 'hono'
import {
  ANONYMOUS,
  type Caller,
  DEVELOPER,
  isInternalName,
  mayActFor,
  type Operator,
} from '../../domain/caller.ts'
import { parseWorkspaceId } from '../../domain/ids.ts'
import { foreignUse } from '../../services/authenticate-caller.ts'
import type { RefusedUses } from '../../services/refused-uses.ts'
import type { SessionCheck } from '../../services/session-check.ts'
import type { AppEnv, WorkspaceEnv } from '../env.ts'

export type ScopeDeps = {
  readonly authenticate: (authorization: string | undefined, requestId: string) => Promise<Caller>
  readonly refusedUses: Pick<RefusedUses, 'note'>
  readonly isAdminScopeOpen: boolean
  readonly isWorkspaceScopeOpen: boolean
  /** undefined: cookies say nothing here. */
  readonly sessions: Pick<SessionCheck, 'operatorOf'> | undefined
  readonly allowedOrigins: readonly string[]
}

function hasBearer(c: Context): boolean {
  return bearerCredential(c.req.header('authorization')) !== undefined
}

function callerOf<E extends AppEnv>(deps: ScopeDeps, c: Context<E>): Promise<Caller> {
  return deps.authenticate(c.req.header('authorization'), c.get('requestId'))
}

function noteForeign<E extends AppEnv>(deps: ScopeDeps, c: Context<E>, target: string): void {
  const caller = c.get('caller')
  if (caller.kind !== 'workspace') return
  deps.refusedUses.note({ ...foreignUse(caller, target), requestId: c.get('requestId') })
}

/** Operators only. In open development everybody on this machine is one. */
export function adminScope(deps: ScopeDeps): MiddlewareHandler<AppEnv> {
  return async function adminAuth(c, next) {
    await admitOperator(deps, c)
    c.set('isStillAdmitted', () => isAdmitted(admitOperator(deps, c)))
    return next()
  }
}

async function admitOperator(deps: ScopeDeps, c: Context<AppEnv>): Promise<void> {
  if (deps.isAdminScopeOpen) {
    c.set('caller', DEVELOPER)
    return
  }
  const member = await sessionOperator(deps, c)
  if (member !== undefined) {
    c.set('caller', member)
    return
  }
  if (!hasBearer(c)) throw new AppError('admin_auth_required')
  c.set('caller', await callerOf(deps, c))
  // A workspace token never administers anything (contract/platform 3.4 AdminAuth 7).
  if (c.get('caller').kind !== 'operator') {
    noteForeign(deps, c, 'admin')
    throw new AppError('invalid_admin_token')
  }
}

/** Whose session the request is of; undefined for nobody's, and where a bearer can decide instead. */
async function sessionOperator(deps: ScopeDeps, c: Context<AppEnv>): Promise<Operator | undefined> {
  if (deps.sessions === undefined || !isFromOwnPage(deps, c)) return undefined
  try {
    return await deps.sessions.operatorOf(c.req.header('cookie'))
  } catch (error) {
    if (hasBearer(c)) return undefined
    throw error
  }
}

/**
 * A browser sends the cookie whichever page makes it ask: what a foreign page could have asked is
 * not its reader's wish. Never a reason to admit anybody (contract/platform 3.4).
 */
function isFromOwnPage(deps: ScopeDeps, c: Context<AppEnv>): boolean {
  const origin = c.req.header('origin')
  if (origin === undefined) return c.req.header('sec-fetch-site') !== 'cross-site'
  const host = c.req.header('host') ?? ''
  return [`https://${host}`, `http://${host}`, ...deps.allowedOrigins].includes(origin)
}

/** Only a refusal is a no: a database that cannot be asked has refused nobody. */
async function isAdmitted(admission: Promise<void>): Promise<boolean> {
  try {
    await admission
    return true
  } catch (error) {
    return findAppError(error)?.status !== 401
  }
}

/**
 * An operator, or the workspace that the path names. No database call without a bearer. Whether
 * another workspace exists is nobody's business: the answer is the same (wart W16).
 */
export function workspaceScope(deps: ScopeDeps): MiddlewareHandler<WorkspaceEnv> {
  return async function workspaceAuth(c, next) {
    await admitToWorkspace(deps, c)
    c.set('isStillAdmitted', () => isAdmitted(admitToWorkspace(deps, c)))
    return next()
  }
}

async function admitToWorkspace(deps: ScopeDeps, c: Context<WorkspaceEnv>): Promise<void> {
  c.set('caller', await workspaceCaller(deps, c))
  const id = parseWorkspaceId(c.req.param('id') ?? '')
  if (
    c.get('caller').kind === 'workspace' &&
    (id === undefined || !mayActFor(c.get('caller'), id))
  ) {
    noteForeign(deps, c, id ?? 'malformed')
    throw new AppError('invalid_workspace_token')
  }
  if (id === undefined) throw new AppError('invalid_workspace_id')
  c.set('workspaceId', id)
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
    c.set('caller', caller)
    const id = parseWorkspaceId(c.req.param('id') ?? '')
    if (id === undefined) throw new AppError('invalid_workspace_id')
    // The header may agree with the bearer, and says nothing that the bearer does not.
    const self = caller.kind === 'workspace' ? caller.workspaceId : id
    if (named !== undefined && named !== '' && parseWorkspaceId(named) !== self) {
      noteForeign(deps, c, parseWorkspaceId(named) ?? 'malformed')
      throw new AppError('invalid_caller_token')
    }
    c.set('workspaceId', id)
    return next()
  }
}

async function workspaceCaller<E extends AppEnv>(deps: ScopeDeps, c: Context<E>): Promise<Caller> {
  if (!hasBearer(c)) {
    if (deps.isWorkspaceScopeOpen) return DEVELOPER
    throw new AppError('missing_workspace_token')
  }
  const caller = await callerOf(deps, c)
  if (caller.kind === 'anonymous') throw new AppError('invalid_workspace_token')
  return caller
}

/** Everybody; who presents a credential is known by it, a wrong one is nobody's. */
export function publicScope(deps: ScopeDeps): MiddlewareHandler<AppEnv> {
  return async function identify(c, next) {
    if (hasBearer(c)) c.set('caller', await callerOf(deps, c))
    else c.set('caller', deps.isAdminScopeOpen ? DEVELOPER : ANONYMOUS)
    return next()
  }
}
