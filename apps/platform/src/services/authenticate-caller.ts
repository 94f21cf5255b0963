/** @module From an Authorization header to a caller (contract/platform 3.4, 3.8). */
import { AppError } from '@atrium/http-kit/app-error'
import { bearerCredential, credentialsEqual, sha256 } from '@atrium/http-kit/bearer'
import type { Clock } from '@atrium/http-kit/clock'
import type { Secret } from '@atrium/http-kit/secret'
import type { Db } from '../db/client.ts'
import { loggableDatabaseError } from '../db/db-error.ts'
import { findTokenByHash, touchToken } from '../db/token-store.ts'
import { ANONYMOUS, type Caller, OPERATOR } from '../domain/caller.ts'
import { parseWorkspaceId } from '../domain/ids.ts'

export type AuthenticationDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly adminToken: Secret | undefined
}

const LAST_USED_RESOLUTION_MS = 60_000

/**
 * Who presents this header. A bearer that nobody holds is anonymous: the scopes decide what that
 * means. No database call without a bearer, none for the admin token. Database errors are thrown:
 * an unreadable token is not a wrong one (wart W15).
 */
export async function authenticateCaller(
  deps: AuthenticationDeps,
  authorization: string | undefined,
): Promise<Caller> {
  const credential = bearerCredential(authorization)
  if (credential === undefined) return ANONYMOUS
  if (isAdminToken(deps.adminToken, credential)) return OPERATOR
  const token = await findTokenByHash(deps.db, sha256(credential))
  const workspaceId = token === undefined ? undefined : parseWorkspaceId(token.workspaceId)
  if (token === undefined || workspaceId === undefined) return ANONYMOUS
  const now = deps.clock.now()
  const unnotedMs = now.getTime() - (token.lastUsedAt?.getTime() ?? 0)
  if (unnotedMs >= LAST_USED_RESOLUTION_MS) {
    await touchToken(deps.db, { id: token.id, now, resolutionMs: LAST_USED_RESOLUTION_MS })
  }
  return { kind: 'workspace', workspaceId }
}

/**
 * `authenticateCaller` for the scopes: a store that cannot be asked is neither a yes nor a no. Throws
 * `platform_unavailable` (contract/platform 1.0).
 */
export async function authenticateOrUnavailable(
  deps: AuthenticationDeps,
  authorization: string | undefined,
): Promise<Caller> {
  try {
    return await authenticateCaller(deps, authorization)
  } catch (error) {
    throw new AppError('platform_unavailable', { cause: loggableDatabaseError(error) })
  }
}

/** Whether the credential is the configured admin token; false when none is configured. */
export function isAdminToken(adminToken: Secret | undefined, credential: string): boolean {
  return adminToken !== undefined && credentialsEqual(credential, adminToken.reveal())
}
