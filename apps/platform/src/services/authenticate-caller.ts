/** @module From an Authorization header to a caller (contract/platform 3.4, 3.8). */
import { AppError } from '@atrium/http-kit/app-error'
import { bearerCredential, credentialsEqual, sha256 } from '@atrium/http-kit/bearer'
import type { Clock } from '@atrium/http-kit/clock'
import type { Secret } from '@atrium/http-kit/secret'
import type { Logger } from 'pino'
import type { Db } from '../db/client.ts'
import { loggableDatabaseError } from '../db/db-error.ts'
import { touchOrgToken } from '../db/org-token-store.ts'
import { findTokenByHash, type KnownToken, touchToken } from '../db/token-store.ts'
import { ANONYMOUS, type Caller, OPERATOR } from '../domain/caller.ts'
import { workspaceIdSchema } from '../domain/ids.ts'
import type { RefusedUse, RefusedUses } from './refused-uses.ts'

export type AuthenticationDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly adminToken: Secret | undefined
  readonly refusedUses: Pick<RefusedUses, 'note'>
}

const LAST_USED_RESOLUTION_MS = 60_000

/**
 * Who presents this header. A bearer that nobody holds is anonymous: the scopes decide what that
 * means. No database call without a bearer, none for the admin token, one for every other, whoever
 * holds it. Database errors are thrown: an unreadable token is not a wrong one (warts W15, W17).
 */
export async function authenticateCaller(
  deps: AuthenticationDeps,
  authorization: string | undefined,
  requestId?: string,
): Promise<Caller> {
  const credential = bearerCredential(authorization)
  if (credential === undefined) return ANONYMOUS
  if (isAdminToken(deps.adminToken, credential)) return OPERATOR
  const token = await findTokenByHash(deps.db, sha256(credential))
  if (token?.state !== 'live') {
    deps.refusedUses.note({ ...refusedUse(token), requestId })
    return ANONYMOUS
  }
  await noteUse(deps, token)
  if (token.kind === 'org') {
    const { id: tokenId, prefix, orgId } = token
    return { kind: 'operator', via: 'org_token', tokenId, prefix, orgId }
  }
  const workspaceId = workspaceIdSchema.parse(token.workspaceId)
  return { kind: 'workspace', workspaceId, tokenId: token.id }
}

/** A live workspace token where it has no business: somebody tries doors. */
export function foreignUse(
  caller: Extract<Caller, { kind: 'workspace' }>,
  target: string,
): RefusedUse {
  return {
    action: 'workspace_token.foreign_use',
    subject: caller.tokenId,
    workspaceId: caller.workspaceId,
    target,
  }
}

function refusedUse(token: KnownToken | undefined): RefusedUse {
  if (token === undefined) return { action: 'bearer.unknown_use', subject: null }
  if (token.kind === 'org') return { action: 'org_token.revoked_use', subject: token.id }
  const action =
    token.state === 'removed'
      ? 'workspace_token.removed_workspace_use'
      : 'workspace_token.revoked_use'
  return { action, subject: token.id, workspaceId: token.workspaceId }
}

/**
 * Reads do not become writes: once a minute is often enough (wart W17). Best effort: who has shown a
 * live token is known, whether or not a full disk lets that be written (contract/platform 3.1).
 */
async function noteUse(deps: AuthenticationDeps, token: KnownToken): Promise<void> {
  const now = deps.clock.now()
  const unnotedMs = now.getTime() - (token.lastUsedAt?.getTime() ?? 0)
  if (unnotedMs < LAST_USED_RESOLUTION_MS) return
  const touch = token.kind === 'org' ? touchOrgToken : touchToken
  try {
    await touch(deps.db, { id: token.id, now, resolutionMs: LAST_USED_RESOLUTION_MS })
  } catch (error) {
    deps.log.warn({ err: loggableDatabaseError(error), token_id: token.id }, 'token.use_not_noted')
  }
}

/**
 * `authenticateCaller` for the scopes: a store that cannot be asked is neither a yes nor a no. Throws
 * `platform_unavailable` (contract/platform 1.0).
 */
export async function authenticateOrUnavailable(
  deps: AuthenticationDeps,
  authorization: string | undefined,
  requestId?: string,
): Promise<Caller> {
  try {
    return await authenticateCaller(deps, authorization, requestId)
  } catch (error) {
    throw new AppError('platform_unavailable', { cause: loggableDatabaseError(error) })
  }
}

/**
 * For a gate that checks credentials in its own way: what it refused, to the trail. Throws
 * `platform_unavailable`.
 */
export async function noteRefusedBearer(
  deps: AuthenticationDeps,
  authorization: string | undefined,
  target: string,
): Promise<void> {
  const caller = await authenticateOrUnavailable(deps, authorization)
  if (caller.kind === 'workspace') deps.refusedUses.note(foreignUse(caller, target))
}

/** Whether the credential is the configured admin token; false when none is configured. */
export function isAdminToken(adminToken: Secret | undefined, credential: string): boolean {
  return adminToken !== undefined && credentialsEqual(credential, adminToken.reveal())
}
