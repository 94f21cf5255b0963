/** @module JSON shape of `/workspaces/:id/inbound-secret`: everything about it but itself. */
import { z } from 'zod'
import { type InboundSecretColumns, rotationStateOf } from '../../domain/inbound-secret-rotation.ts'

export const inboundSecretResponse = z.object({
  workspace_id: z.uuid(),
  /** `settled`: one is in use. `pending`: not delivered yet. `delivered`: not proved yet. */
  rotation: z.enum(['settled', 'pending', 'delivered']),
  minted_at: z.iso.datetime().nullable(),
  delivered_at: z.iso.datetime().nullable(),
  acknowledged_at: z.iso.datetime().nullable(),
})

export function renderInboundSecret(
  row: InboundSecretColumns & { readonly id: string },
): z.input<typeof inboundSecretResponse> {
  return {
    workspace_id: row.id,
    rotation: rotationStateOf(row),
    minted_at: row.inboundSecretMintedAt?.toISOString() ?? null,
    delivered_at: row.inboundSecretDeliveredAt?.toISOString() ?? null,
    acknowledged_at: row.inboundSecretAcknowledgedAt?.toISOString() ?? null,
  }
}
