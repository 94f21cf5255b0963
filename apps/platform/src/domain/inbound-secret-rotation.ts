/**
 * @module Which inbound secret is presented while one replaces the other (ADR-0024): pure decisions
 * over the columns of a workspace's row.
 */

/** The part of a row that a rotation lives in. Envelopes, never plain secrets. */
export type InboundSecretColumns = {
  readonly inboundSecretCurrent: string | null
  /** Set while a rotation is under way. */
  readonly inboundSecretPrevious: string | null
  readonly inboundSecretMintedAt: Date | null
  readonly inboundSecretDeliveredAt: Date | null
  /** Beside a previous one: nobody has proved it, but the workspace was told the current one. */
  readonly inboundSecretAcknowledgedAt: Date | null
}

export type SecretSlot = 'current' | 'previous'

/** `settled`: one secret. `pending`: the workspace has not been told. `delivered`: no proof yet. */
export type RotationState = 'settled' | 'pending' | 'delivered'

export function rotationStateOf(columns: InboundSecretColumns): RotationState {
  if (columns.inboundSecretPrevious === null) return 'settled'
  return columns.inboundSecretDeliveredAt === null ? 'pending' : 'delivered'
}

/** Deliveries of before have had their time: the current secret counts as held. */
export function overdueBefore(now: Date, graceMs: number): Date {
  return new Date(now.getTime() - graceMs)
}

/**
 * Which slot to present first: the previous one until there is reason to believe that the workspace
 * holds the current one.
 */
export function firstToPresent(
  columns: InboundSecretColumns,
  time: { readonly now: Date; readonly graceMs: number },
): SecretSlot {
  if (columns.inboundSecretPrevious === null) return 'current'
  const { inboundSecretDeliveredAt: deliveredAt, inboundSecretAcknowledgedAt } = columns
  const isOverdue = deliveredAt !== null && deliveredAt < overdueBefore(time.now, time.graceMs)
  return isOverdue || inboundSecretAcknowledgedAt !== null ? 'current' : 'previous'
}
