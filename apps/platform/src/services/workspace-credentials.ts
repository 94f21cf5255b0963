/**
 * @module Minting: the workspace token (stored hashed) and the inbound secret (stored sealed).
 * Nothing else creates a credential (contract/runtime 1.2).
 */
import { AppError } from '@atrium/http-kit/app-error'
import { sha256 } from '@atrium/http-kit/bearer'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { Secret } from '@atrium/http-kit/secret'
import type { Db } from '../db/client.ts'
import { loggableDatabaseError } from '../db/db-error.ts'
import type { TokenPurpose, WorkspaceRow } from '../db/schema.ts'
import { insertToken } from '../db/token-store.ts'
import { replaceInboundSecret, storeInboundSecretIfAbsent } from '../db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { type Keyring, openSecret, sealSecret } from '../domain/secret-envelope.ts'

export type CredentialDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly ids: Ids
  readonly keyring: Keyring
}

const PREFIX_LENGTH = 8

/** Issues a workspace token; the plain value exists only in the answer. */
export async function issueWorkspaceToken(
  deps: CredentialDeps,
  input: { readonly workspaceId: WorkspaceId; readonly purpose: TokenPurpose },
): Promise<Secret> {
  const value = deps.ids.bearerValue()
  await insertToken(deps.db, {
    id: deps.ids.uuid(),
    workspaceId: input.workspaceId,
    tokenHash: sha256(value),
    prefix: value.slice(0, PREFIX_LENGTH),
    purpose: input.purpose,
    now: deps.clock.now(),
  })
  return new Secret(value)
}

/** Mints the inbound secret of a new generation; undefined when a newer one has taken over. */
export async function mintInboundSecret(
  deps: CredentialDeps,
  target: { readonly id: WorkspaceId; readonly generation: number },
): Promise<Secret | undefined> {
  const secret = new Secret(deps.ids.bearerValue())
  const isStored = await replaceInboundSecret(deps.db, {
    ...target,
    envelope: sealSecret(deps.keyring, owner(target.id), secret),
    now: deps.clock.now(),
  })
  return isStored ? secret : undefined
}

export type InboundSecret = { readonly secret: Secret; readonly wasMinted: boolean }

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
  if (row.inboundSecretCurrent !== null) {
    return { secret: open(deps, id, row.inboundSecretCurrent), wasMinted: false }
  }
  const minted = new Secret(deps.ids.bearerValue())
  const stored = await storeMinted(deps, id, minted)
  if (stored === undefined) throw new AppError('workspace_not_found')
  return stored.wasStored
    ? { secret: minted, wasMinted: true }
    : { secret: open(deps, id, stored.envelope), wasMinted: true }
}

async function storeMinted(deps: CredentialDeps, id: WorkspaceId, minted: Secret) {
  try {
    return await storeInboundSecretIfAbsent(deps.db, {
      id,
      envelope: sealSecret(deps.keyring, owner(id), minted),
      now: deps.clock.now(),
    })
  } catch (cause) {
    throw new AppError('inbound_secret_unavailable', { cause: loggableDatabaseError(cause) })
  }
}

function open(deps: CredentialDeps, id: WorkspaceId, envelope: string): Secret {
  try {
    return openSecret(deps.keyring, owner(id), envelope)
  } catch (cause) {
    throw new AppError('inbound_secret_read_failed', {
      cause,
      internal: 'the stored inbound secret cannot be opened with the keys at hand',
    })
  }
}

function owner(workspaceId: WorkspaceId) {
  return { workspaceId, purpose: 'inbound-secret' } as const
}
