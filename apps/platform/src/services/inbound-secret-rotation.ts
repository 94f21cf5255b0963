/**
 * @module One inbound secret replaces another without a request being lost (ADR-0024): a rotation is
 * begun here, what the workspace is told and has proved is noted here, and what is presented to it.
 */
import { AppError } from '@atrium/http-kit/app-error'
import { credentialId } from '@atrium/http-kit/bearer'
import { Secret } from '@atrium/http-kit/secret'
import {
  acknowledgeSecret,
  beginRotation,
  noteDelivery,
  takeDeliveryBack,
} from '../db/inbound-secret-store.ts'
import type { WorkspaceRow } from '../db/schema.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import {
  firstToPresent,
  type InboundSecretColumns,
  overdueBefore,
  rotationStateOf,
  type SecretSlot,
} from '../domain/inbound-secret-rotation.ts'
import { sealSecret } from '../domain/secret-envelope.ts'
import { type AuditContext, recordAudit } from './audit-trail.ts'
import { getWorkspace } from './find-workspace.ts'
import {
  type CredentialDeps,
  ensureInboundSecret,
  inboundSecretOwner,
  openInboundSecret,
} from './workspace-credentials.ts'

export type RotationDeps = CredentialDeps & {
  /** After a delivery that nobody has proved, the previous secret is kept for so long. */
  readonly rotationGraceMs: number
}

/**
 * Mints a new inbound secret and keeps the old one as the previous; the caller has it delivered.
 * In its own transaction, or in the caller's. Throws `rotation_in_progress`, `workspace_not_found`.
 */
export async function rotateInboundSecret(
  deps: RotationDeps,
  input: {
    readonly workspaceId: WorkspaceId
    readonly reason: 'asked' | 'age'
    readonly by?: AuditContext | undefined
  },
): Promise<WorkspaceRow> {
  const { workspaceId, reason, by } = input
  const row = await deps.db.transaction(async (tx) => {
    const now = deps.clock.now()
    const secret = new Secret(deps.ids.bearerValue())
    const begun = await beginRotation(tx, {
      id: workspaceId,
      envelope: sealSecret(deps.keyring, inboundSecretOwner(workspaceId), secret),
      now,
      overdueBefore: overdueBefore(now, deps.rotationGraceMs),
    })
    if (begun === undefined) return undefined
    const subject = credentialId(secret.reveal())
    await recordAudit(
      { ...deps, db: tx },
      { action: 'inbound_secret.rotate', workspaceId, subject, detail: { reason }, by },
    )
    return begun
  })
  if (row !== undefined) return row
  const current = await getWorkspace(deps.db, workspaceId)
  throw new AppError('rotation_in_progress', {
    extensions: { rotation: rotationStateOf(current) },
  })
}

/** What a row says about its secret, as a whole row or a beat has it. */
export type SecretNotes = Pick<
  WorkspaceRow,
  'id' | 'inboundSecretCurrent' | 'inboundSecretPrevious'
> & {
  readonly inboundSecretDeliveredAt: Date | string | null
  readonly inboundSecretAcknowledgedAt: Date | string | null
}

/**
 * What a registration's or a beat's answer has to say about the inbound secret of `row`, and notes
 * what the call has said about it: `heldId` names the secret that the workspace holds, and is absent
 * for runtimes that cannot say. Throws what `ensureInboundSecret` throws.
 */
export async function inboundSecretForAnswer(
  deps: CredentialDeps,
  row: SecretNotes,
  heldId: string | undefined,
): Promise<{ readonly secret: Secret; readonly isProven: boolean }> {
  const id = workspaceIdSchema.parse(row.id)
  const { secret, envelope, wasMinted } = await ensureInboundSecret(deps, row)
  if (heldId === credentialId(secret.reveal())) {
    const isNoted = row.inboundSecretPrevious === null && row.inboundSecretAcknowledgedAt !== null
    if (!isNoted) await acknowledge(deps, { id, envelope, proof: 'named' })
    return { secret, isProven: true }
  }
  const isBelieved = heldId === undefined
  const isNoted = isBelieved
    ? row.inboundSecretAcknowledgedAt !== null
    : row.inboundSecretDeliveredAt !== null
  if (!isNoted || wasMinted) {
    await noteDelivery(deps.db, { id, envelope, now: deps.clock.now(), isBelieved })
  }
  return { secret, isProven: false }
}

/** One of the secrets that a workspace may be opened with. */
export type PresentedSecret = {
  readonly secret: Secret
  readonly slot: SecretSlot
}

/** Best first; the second is for a workspace that refuses the first. */
export type PresentedSecrets = readonly [PresentedSecret, PresentedSecret?]

/**
 * The secrets of `row` in the order in which to present them; `current` is its current one. Throws
 * `inbound_secret_read_failed`.
 */
export function secretsToPresent(
  deps: RotationDeps,
  row: InboundSecretColumns & Pick<WorkspaceRow, 'id'>,
  current: Secret,
): PresentedSecrets {
  const previous = row.inboundSecretPrevious
  const held = { slot: 'current', secret: current } as const
  if (previous === null) return [held]
  const secret = openInboundSecret(deps, workspaceIdSchema.parse(row.id), previous)
  const former = { slot: 'previous', secret } as const
  const time = { now: deps.clock.now(), graceMs: deps.rotationGraceMs }
  return firstToPresent(row, time) === 'current' ? [held, former] : [former, held]
}

/**
 * A workspace that was offered two secrets let the platform in with the one in `slot`, to files: an
 * agent's A2A may be open to anybody. `wasRefused`: with the other it did not.
 */
export async function noteLetIn(
  deps: CredentialDeps,
  entry: {
    readonly row: Pick<WorkspaceRow, 'id' | 'inboundSecretCurrent'>
    readonly slot: SecretSlot
    readonly wasRefused: boolean
  },
): Promise<void> {
  const envelope = entry.row.inboundSecretCurrent
  if (envelope === null) return
  const id = workspaceIdSchema.parse(entry.row.id)
  if (entry.slot === 'current') await acknowledge(deps, { id, envelope, proof: 'used' })
  else if (entry.wasRefused) await takeDeliveryBack(deps.db, { id, envelope })
}

async function acknowledge(
  deps: CredentialDeps,
  held: {
    readonly id: WorkspaceId
    readonly envelope: string
    readonly proof: 'named' | 'used'
  },
): Promise<void> {
  const { id, envelope, proof } = held
  await deps.db.transaction(async (tx) => {
    const hasEnded = await acknowledgeSecret(tx, { id, envelope, now: deps.clock.now() })
    if (!hasEnded) return
    await recordAudit(
      { ...deps, db: tx },
      { action: 'inbound_secret.retire', workspaceId: id, detail: { reason: proof } },
    )
  })
}
