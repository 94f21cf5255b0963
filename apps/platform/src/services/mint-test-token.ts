/** @module Workspace tokens for development and end-to-end tests (contract/platform 3.7). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import { revokeOldestTestTokens } from '../db/token-store.ts'
import { lockLiveWorkspace } from '../db/workspace-store.ts'
import { type Caller, DEVELOPER, OPERATOR } from '../domain/caller.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { type AuditContext, recordAudit } from './audit-trail.ts'
import { type AuthenticationDeps, isAdminToken, noteRefusedBearer } from './authenticate-caller.ts'
import { type CredentialDeps, issueWorkspaceToken } from './workspace-credentials.ts'
import { admitOneMore } from './workspace-tokens.ts'

export type TestTokenDeps = CredentialDeps &
  AuthenticationDeps & { readonly testTokensEnabled: boolean }

/** Every mint beyond this revokes the oldest test token, never a runtime's own. */
const MAX_LIVE_TEST_TOKENS = 20

/**
 * Who uses the endpoint, where it exists. Throws `not_found`, `admin_auth_required`,
 * `platform_unavailable`.
 */
export async function admitTestTokenRequest(
  deps: TestTokenDeps,
  authorization: string | undefined,
): Promise<Caller> {
  if (!deps.testTokensEnabled) throw new AppError('not_found')
  if (deps.adminToken === undefined) return DEVELOPER
  // The contract accepts the raw value as well as `Bearer <value>`.
  const presented = (authorization ?? '').replace(/^Bearer /, '').trim()
  if (isAdminToken(deps.adminToken, presented)) return OPERATOR
  await noteRefusedBearer(deps, authorization, 'test_token')
  throw new AppError('admin_auth_required')
}

/**
 * Mints a token of a live workspace, within the cap that every token is under (wart W17). Throws
 * `workspace_not_found`, `token_limit_reached`.
 */
export async function mintTestToken(
  deps: TestTokenDeps,
  input: { readonly workspaceId: WorkspaceId; readonly by: AuditContext },
): Promise<Secret> {
  const { workspaceId, by } = input
  return deps.db.transaction(async (tx) => {
    const within = { ...deps, db: tx }
    // Serialises the mints of one workspace: each sees what the others have left.
    const row = await lockLiveWorkspace(tx, workspaceId)
    if (row === undefined) throw new AppError('workspace_not_found')
    const count = await revokeOldestTestTokens(tx, {
      workspaceId,
      keep: MAX_LIVE_TEST_TOKENS - 1,
      now: deps.clock.now(),
    })
    if (count > 0) {
      const detail = { reason: 'surplus_test_tokens' }
      await recordAudit(within, {
        action: 'workspace_token.revoke',
        workspaceId,
        count,
        detail,
        by,
      })
    }
    await admitOneMore(tx, workspaceId)
    return issueWorkspaceToken(within, { workspaceId, purpose: 'test', by })
  })
}
