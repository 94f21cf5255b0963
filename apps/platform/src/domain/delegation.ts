/** @module One agent asks another to do something and does not wait (contract/platform 4.10). */

export const DELEGATION_STATUSES = [
  'pending',
  'dispatched',
  'queued',
  'in_progress',
  'completed',
  'failed',
] as const
export type DelegationStatus = (typeof DELEGATION_STATUSES)[number]
