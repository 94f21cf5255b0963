/** @module Workspace tokens for development and end-to-end tests (contract/platform 3.7). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import { revokeOldestTestTokens } from '../db/token-store.ts'
import { findLiveWorkspace } from '../db/workspace-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { isAdminToken } from './authenticate-caller.ts'
import { type CredentialDeps, issueWorkspaceToken } from './workspace-credentials.ts'

export type TestTokenDeps = CredentialDeps & {
  readonly testTokensEnabled: boolean
  readonly adminToken: Secret | undefined
}

/** Every mint beyond this revokes the oldest test token, never a runtime's own. */
const MAX_LIVE_TEST_TOKENS = 20

/** Whether the endpoint exists and this header may use it; throws `not_found`, `admin_auth_required`. */
export function admitTestTokenRequest(
  deps: Pick<TestTokenDeps, 'testTokensEnabled' | 'adminToken'>,
  authorization: string | undefined,
): void {
  if (!deps.testTokensEnabled) throw new AppError('not_found')
  if (deps.adminToken === undefined) return
  // The contract accepts the raw value as well as `Bearer <value>`.
  const presented = (authorization ?? '').replace(/^Bearer /, '').trim()
  if (!isAdminToken(deps.adminToken, presented)) throw new AppError('admin_auth_required')
}

/** Mints a token of a live workspace. Throws `workspace_not_found`. */
export async function mintTestToken(
  deps: TestTokenDeps,
  workspaceId: WorkspaceId,
): Promise<Secret> {
  return deps.db.transaction(async (tx) => {
    if ((await findLiveWorkspace(tx, workspaceId)) === undefined) {
      throw new AppError('workspace_not_found')
    }
    const token = await issueWorkspaceToken({ ...deps, db: tx }, { workspaceId, purpose: 'test' })
    await revokeOldestTestTokens(tx, {
      workspaceId,
      keep: MAX_LIVE_TEST_TOKENS,
      now: deps.clock.now(),
    })
    return token
  })
}
