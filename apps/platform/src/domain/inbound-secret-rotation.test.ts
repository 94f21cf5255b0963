import { describe, expect, it } from 'vitest'
import {
  firstToPresent,
  type InboundSecretColumns,
  rotationStateOf,
} from './inbound-secret-rotation.ts'

const NOW = new Date('2026-11-26T12:00:00Z')
const GRACE_MS = 600_000
const ago = (ms: number) => new Date(NOW.getTime() - ms)

function row(columns: Partial<InboundSecretColumns> = {}): InboundSecretColumns {
  return {
    inboundSecretCurrent: 'current',
    inboundSecretPrevious: 'previous',
    inboundSecretMintedAt: ago(0),
    inboundSecretDeliveredAt: null,
    inboundSecretAcknowledgedAt: null,
    ...columns,
  }
}

describe('a rotation', () => {
  it.each([
    ['nothing is under way', row({ inboundSecretPrevious: null }), 'settled', 'current'],
    ['the workspace was not told', row(), 'pending', 'previous'],
    [
      'it was not told for longer than the grace',
      row({ inboundSecretMintedAt: ago(GRACE_MS * 9) }),
      'pending',
      'previous',
    ],
    [
      'it was told and has proved nothing',
      row({ inboundSecretDeliveredAt: ago(GRACE_MS) }),
      'delivered',
      'previous',
    ],
    [
      'it was told longer ago than the grace',
      row({ inboundSecretDeliveredAt: ago(GRACE_MS + 1) }),
      'delivered',
      'current',
    ],
    [
      'it was told and cannot prove',
      row({ inboundSecretDeliveredAt: NOW, inboundSecretAcknowledgedAt: NOW }),
      'delivered',
      'current',
    ],
  ])('presents what it should when %s', (_, columns, state, slot) => {
    expect(rotationStateOf(columns)).toBe(state)
    expect(firstToPresent(columns, { now: NOW, graceMs: GRACE_MS })).toBe(slot)
  })
})
