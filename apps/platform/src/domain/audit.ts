/** @module What the audit trail speaks of: credentials by their public names, never themselves. */
import type { Caller } from './caller.ts'

/** What was done to a credential. */
export type CredentialAction =
  | 'workspace_token.mint'
  | 'workspace_token.revoke'
  | 'inbound_secret.mint'
  | 'inbound_secret.rotate'
  | 'inbound_secret.retire'
  /** Sealed anew with the current key; `subject` is the key's id. */
  | 'stored_secret.reseal'
  /** The host of a workspace was written down, with a token; `detail` has its URL. */
  | 'job_control.set'
  | 'job_control.remove'
  | 'org_token.mint'
  | 'org_token.revoke'

/** A credential that was presented and let nobody in. */
export type RefusedAction =
  /** Revoked, or of an older generation. */
  | 'workspace_token.revoked_use'
  /** Live, at another workspace's route or at an operator's. */
  | 'workspace_token.foreign_use'
  | 'workspace_token.removed_workspace_use'
  | 'org_token.revoked_use'
  /** Nobody's: never issued here, or purged with its workspace. */
  | 'bearer.unknown_use'

export type AuditAction = CredentialAction | RefusedAction

export type AuditActor = {
  readonly kind:
    | 'admin_token'
    | 'org_token'
    | 'session'
    | 'open_development'
    | 'workspace'
    | 'anonymous'
    /** The platform itself: a start, a healing, a sweep. */
    | 'platform'
  readonly id: string | null
}

export const PLATFORM_ACTOR: AuditActor = Object.freeze({ kind: 'platform', id: null })

/** Who a request's caller is to the trail. */
export function auditActor(caller: Caller): AuditActor {
  if (caller.kind === 'workspace') return { kind: 'workspace', id: caller.workspaceId }
  if (caller.kind === 'anonymous') return { kind: 'anonymous', id: null }
  if (caller.via === 'org_token') return { kind: 'org_token', id: caller.tokenId }
  if (caller.via === 'session') return { kind: 'session', id: caller.userId }
  return { kind: caller.via, id: null }
}
