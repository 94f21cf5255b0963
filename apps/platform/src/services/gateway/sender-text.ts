/** @module Who sent a message, as the ledger writes it down: it says who may ask for it later. */
import { OPERATOR, type Sender } from '../../domain/caller.ts'
import type { Delivery } from '../../domain/delivery.ts'

/** Who may ask for it later. */
export function senderText(sender: Sender): string {
  switch (sender.kind) {
    case 'workspace':
      return `workspace:${sender.workspaceId}`
    case 'internal':
      return `internal:${sender.name}`
    case 'anonymous':
      return 'anonymous'
    case 'operator':
      if (sender.via === 'org_token') return `org_token:${sender.tokenId}`
      return sender.via === 'session' ? `session:${sender.userId}` : 'admin'
  }
}

/** Whether a `senderText` is one of the people who run things. */
export function isOperatorText(text: string): boolean {
  return text === 'admin' || text.startsWith('org_token:') || text.startsWith('session:')
}

/** Whoever sent what has waited, as far as the activity log tells them apart. */
export function senderOf({ sender, senderWorkspaceId }: Delivery): Sender {
  if (senderWorkspaceId !== null) {
    return { kind: 'workspace', workspaceId: senderWorkspaceId, tokenId: '' }
  }
  const internal = /^internal:(.*)$/s.exec(sender)?.[1]
  return internal === undefined ? OPERATOR : { kind: 'internal', name: internal }
}
