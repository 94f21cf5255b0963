/**
 * @module Minting and revoking: the workspace token (stored hashed) and the inbound secret (stored
 * sealed). Nothing else does (contract/runtime 1.2), and nothing here goes by without its line in the
 * audit trail, written in the same transaction.
 */
import { AppError } from '@atrium/http-kit/app-error'
import { credentialId, sha256 } from '@atrium/http-kit/bearer'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { Secret } from '@atrium/http-kit/secret'
import type { Db } from '../db/client.ts'
import { loggableDatabaseError } from '../db/db-error.ts'
import { replaceInboundSecret, storeInboundSecretIfAbsent } from '../db/inbound-secret-store.ts'
import type { TokenPurpose, WorkspaceRow } from '../db/schema.ts'
import { insertToken, revokeAllTokens } from '../db/token-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { type Keyring, openSecret, sealSecret } from '../domain/secret-envelope.ts'
import { type AuditContext, recordAudit } from './audit-trail.ts'

export type CredentialDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly ids: Ids
  readonly keyring: Keyring
}

const PREFIX_LENGTH = 8

/** Issues a workspace token in the caller's transaction; its value exists only in the answer. */
export async function issueWorkspaceToken(
  deps: CredentialDeps,
  input: {
    readonly workspaceId: WorkspaceId
    readonly purpose: TokenPurpose
    /** On whose behalf; the platform's own unless given. */
    readonly by?: AuditContext | undefined
  },
): Promise<Secret> {
  const { workspaceId, purpose, by } = input
  const value = deps.ids.bearerValue()
  const id = deps.ids.uuid()
  const prefix = value.slice(0, PREFIX_LENGTH)
  await insertToken(deps.db, {
    id,
    workspaceId,
    tokenHash: sha256(value),
    prefix,
    purpose,
    now: deps.clock.now(),
  })
  await recordAudit(deps, {
    action: 'workspace_token.mint',
    workspaceId,
    subject: id,
    detail: { prefix, purpose },
    by,
  })
  return new Secret(value)
}

/** Revokes every token of a workspace in the caller's transaction; resolves with how many. */
export async function revokeWorkspaceTokens(
  deps: Pick<CredentialDeps, 'db' | 'clock' | 'ids'>,
  input: {
    readonly workspaceId: WorkspaceId
    readonly reason: 'new_generation' | 'removal'
    readonly by?: AuditContext | undefined
  },
): Promise<number> {
  const { workspaceId, reason, by } = input
  const count = await revokeAllTokens(deps.db, { workspaceId, now: deps.clock.now() })
  if (count > 0) {
    const detail = { reason }
    await recordAudit(deps, { action: 'workspace_token.revoke', workspaceId, count, detail, by })
  }
  return count
}

/**
 * Mints the inbound secret of a new generation in the caller's transaction; undefined when a newer
 * one has taken over.
 */
export async function mintInboundSecret(
  deps: CredentialDeps,
  target: { readonly id: WorkspaceId; readonly generation: number },
): Promise<Secret | undefined> {
  const secret = new Secret(deps.ids.bearerValue())
  const isStored = await replaceInboundSecret(deps.db, {
    ...target,
    envelope: sealSecret(deps.keyring, inboundSecretOwner(target.id), secret),
    now: deps.clock.now(),
  })
  if (!isStored) return undefined
  await recordAudit(deps, {
    action: 'inbound_secret.mint',
    workspaceId: target.id,
    subject: credentialId(secret.reveal()),
    detail: { generation: target.generation },
  })
  return secret
}

export type InboundSecret = {
  readonly secret: Secret
  /** As it is stored: what is noted about this secret holds while the row holds this. */
  readonly envelope: string
  readonly wasMinted: boolean
}

/**
 * Reads the inbound secret, or mints one where there is none (contract/platform 3.9): a conditional
 * update decides between concurrent callers, so that all of them answer with the same secret.
 * Throws `inbound_secret_unavailable` when minting fails, `inbound_secret_read_failed` when the
 * stored one cannot be opened, `workspace_not_found` when the row is gone.
 */
export async function ensureInboundSecret(
  deps: CredentialDeps,
  row: Pick<WorkspaceRow, 'id' | 'inboundSecretCurrent'>,
): Promise<InboundSecret> {
  const id = workspaceIdSchema.parse(row.id)
  const envelope = row.inboundSecretCurrent
  if (envelope !== null) {
    return { secret: openInboundSecret(deps, id, envelope), envelope, wasMinted: false }
  }
  const minted = new Secret(deps.ids.bearerValue())
  const stored = await storeMinted(deps, id, minted)
  if (stored === undefined) throw new AppError('workspace_not_found')
  const secret = stored.wasStored ? minted : openInboundSecret(deps, id, stored.envelope)
  return { secret, envelope: stored.envelope, wasMinted: true }
}

async function storeMinted(deps: CredentialDeps, id: WorkspaceId, minted: Secret) {
  try {
    return await deps.db.transaction(async (tx) => {
      const stored = await storeInboundSecretIfAbsent(tx, {
        id,
        envelope: sealSecret(deps.keyring, inboundSecretOwner(id), minted),
        now: deps.clock.now(),
      })
      if (stored?.wasStored === true) await recordHealing({ ...deps, db: tx }, id, minted)
      return stored
    })
  } catch (cause) {
    throw new AppError('inbound_secret_unavailable', { cause: loggableDatabaseError(cause) })
  }
}

/** A workspace that has lost its secret, or never had one, was given one. */
async function recordHealing(deps: CredentialDeps, id: WorkspaceId, minted: Secret): Promise<void> {
  await recordAudit(deps, {
    action: 'inbound_secret.mint',
    workspaceId: id,
    subject: credentialId(minted.reveal()),
    detail: { reason: 'absent' },
  })
}

/** Throws `inbound_secret_read_failed`. */
export function openInboundSecret(
  deps: Pick<CredentialDeps, 'keyring'>,
  id: WorkspaceId,
  envelope: string,
): Secret {
  try {
    return openSecret(deps.keyring, inboundSecretOwner(id), envelope)
  } catch (cause) {
    throw new AppError('inbound_secret_read_failed', {
      cause,
      internal: 'the stored inbound secret cannot be opened with the keys at hand',
    })
  }
}

export function inboundSecretOwner(workspaceId: WorkspaceId) {
  return { workspaceId, purpose: 'inbound-secret' } as const
}
