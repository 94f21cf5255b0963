/**
 * @module What a sender is told whose request had to be repaired (contract/a2a 2.3): it goes on as it
 * should have been, and nobody has to find out from an agent's answer.
 */
import type { Normalised } from '@atrium/a2a-schema/normalise'

export type Repairs = Pick<Normalised, 'notes' | 'mintedMessageId'>

/** Names in lower case. Nothing that was sent is in the values. */
export function repairHeaders({ notes, mintedMessageId }: Repairs): Record<string, string> {
  return {
    ...(notes.length === 0 ? {} : { 'x-a2a-normalized': notes.join(',') }),
    ...(mintedMessageId === undefined ? {} : { 'x-a2a-message-id': mintedMessageId }),
  }
}
