/** @module The tokens that a workspace's people make for it (contract/platform 3.2). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import {
  countLiveTokens,
  listLiveTokens,
  revokeToken,
  type WorkspaceToken,
} from '../db/token-store.ts'
import { lockLiveWorkspace } from '../db/workspace-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { type AuditContext, type AuditDeps, recordAudit } from './audit-trail.ts'
import { type CredentialDeps, issueWorkspaceToken } from './workspace-credentials.ts'

/** Contract/platform 3.2; every live token of the workspace counts, its runtime's too. */
export const MAX_LIVE_TOKENS = 50

/** One page of a workspace's live tokens, newest first. */
export async function listWorkspaceTokens(
  deps: Pick<CredentialDeps, 'db'>,
  query: { readonly workspaceId: WorkspaceId; readonly limit: number; readonly offset: number },
): Promise<WorkspaceToken[]> {
  return listLiveTokens(deps.db, query)
}

/**
 * Mints one more. The workspace's row is locked meanwhile: of many at once none gets past the cap,
 * and none survives a removal. Throws `workspace_not_found`, `token_limit_reached`.
 */
export async function mintUserToken(
  deps: CredentialDeps,
  input: { readonly workspaceId: WorkspaceId; readonly by: AuditContext },
): Promise<Secret> {
  const { workspaceId, by } = input
  return deps.db.transaction(async (tx) => {
    await admitOneMore(tx, workspaceId)
    return issueWorkspaceToken({ ...deps, db: tx }, { workspaceId, purpose: 'user', by })
  })
}

/**
 * Locks the workspace's row in the caller's transaction until its end. Throws `workspace_not_found`,
 * `token_limit_reached`.
 */
export async function admitOneMore(
  tx: CredentialDeps['db'],
  workspaceId: WorkspaceId,
): Promise<void> {
  if ((await lockLiveWorkspace(tx, workspaceId)) === undefined) {
    throw new AppError('workspace_not_found')
  }
  if ((await countLiveTokens(tx, workspaceId)) >= MAX_LIVE_TOKENS) {
    throw new AppError('token_limit_reached')
  }
}

/** Revokes one. Throws `token_not_found`: for another workspace's just as for none. */
export async function revokeWorkspaceToken(
  deps: AuditDeps,
  input: { readonly id: string; readonly workspaceId: WorkspaceId; readonly by: AuditContext },
): Promise<void> {
  const { id, workspaceId, by } = input
  await deps.db.transaction(async (tx) => {
    const revoked = await revokeToken(tx, { id, workspaceId, now: deps.clock.now() })
    if (revoked === undefined) throw new AppError('token_not_found')
    await recordAudit(
      { ...deps, db: tx },
      { action: 'workspace_token.revoke', workspaceId, subject: id, detail: { ...revoked }, by },
    )
  })
}
