/** @module A message on its way to an agent, and what may become of it (ADR-0032). Pure. */
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import type { WorkspaceId } from './ids.ts'

/**
 * `leased`: claimed by a replica, nothing sent yet. `dispatched`: the agent may have it. The others
 * after them are ends: `failed` for the sender to know, `dead` after too many attempts.
 */
export const DELIVERY_STATES = [
  'queued',
  'leased',
  'dispatched',
  'completed',
  'failed',
  'expired',
  'dropped',
  'dead',
] as const
export type DeliveryState = (typeof DELIVERY_STATES)[number]

/** How a sender speaks: 0.1 is `tasks/send`, 0.3 is `message/send`, 1.0 is `SendMessage`. */
export type WireDialect = '0.1' | '0.3' | '1.0'

/** Contract/platform 4.12. */
export const PRIORITIES = { critical: 100, task: 50, info: 10 } as const

/** Contract/platform 4.12: after so many attempts that the agent answered with an error, `dead`. */
export const MAX_ATTEMPTS = 5

export function isFinalState(state: DeliveryState): boolean {
  return state !== 'queued' && state !== 'leased' && state !== 'dispatched'
}

export type NewDelivery = {
  /** Also the `queue_id` and the id of the task until the agent has given it another. */
  readonly id: string
  readonly workspaceId: WorkspaceId
  /** `workspace:<id>`, `org_token:<id>`, `session:<user>`, `admin`, `anonymous`, `internal:<name>`. */
  readonly sender: string
  readonly senderWorkspaceId: WorkspaceId | null
  readonly priority: number
  readonly mode: DeliveryMode
  readonly dialect: WireDialect
  readonly method: string
  readonly isStreaming: boolean
  readonly contextId: string | null
  readonly messageId: string | null
  /** What is sent: the sender's bytes, unless they had to be completed. At most 1 MiB. */
  readonly request: Buffer
  /** Of the sender's headers those that go on to the agent, names in lower case. */
  readonly requestHeaders: Readonly<Record<string, string>>
  /** What the sender calls this message; null: it cannot be repeated. */
  readonly key: { readonly value: string; readonly expiresAt: Date } | null
  /** SHA-256 of what is said. */
  readonly fingerprint: Buffer
  readonly isIdempotent: boolean
  /** Not to be begun after this. */
  readonly expiresAt: Date | null
  readonly delegationId: string | null
  readonly activityId: string | null
}

/** What a replica holds while it sends: every later write of it names the fence. */
export type Claim = {
  readonly id: string
  readonly workspaceId: WorkspaceId
  readonly fence: string
}

/** What became of a delivery that was offered to the ledger. */
export type Accepted =
  /** Ours to send, now. */
  | { readonly kind: 'dispatched'; readonly claim: Claim }
  /** Others wait before it; `position` counts from 1. */
  | {
      readonly kind: 'queued'
      readonly id: string
      readonly depth: number
      readonly position: number
    }
  /** The same sender has sent it before; the row as it is. */
  | { readonly kind: 'known'; readonly delivery: Delivery }
  /** The same sender has said something else under this key. */
  | { readonly kind: 'conflict'; readonly id: string }
  /** Too many wait for this workspace. */
  | { readonly kind: 'full'; readonly depth: number }
  /** The workspace is gone. */
  | { readonly kind: 'absent' }

/** How an attempt to send ended. */
export type DispatchOutcome =
  /** The agent has answered, be it with a JSON-RPC error. */
  | {
      readonly kind: 'answered'
      readonly status: number
      /** null: not worth keeping, or too large. */
      readonly response: Buffer | null
      readonly upstreamTaskId: string | null
    }
  /** Provably not accepted: goes back into the queue, and the attempt does not count. */
  | { readonly kind: 'busy'; readonly error: string; readonly retryAfterMs: number | null }
  /** Refused by the agent's server, which may do better: again after a while, at most 5 times. */
  | { readonly kind: 'erred'; readonly error: string }
  /** Nobody knows whether the agent has it: sent again only when that does no harm. */
  | { readonly kind: 'unknown'; readonly error: string }
  /** Cannot succeed. `isUndelivered`: the agent has never seen it, so the sender may repeat it. */
  | {
      readonly kind: 'failed'
      readonly reason: string
      readonly error: string
      readonly isUndelivered: boolean
    }

/** A row as its readers need it. */
export type Delivery = {
  readonly id: string
  readonly workspaceId: WorkspaceId
  readonly sender: string
  readonly senderWorkspaceId: WorkspaceId | null
  readonly state: DeliveryState
  readonly mode: DeliveryMode
  readonly dialect: WireDialect
  readonly method: string
  readonly isStreaming: boolean
  readonly contextId: string | null
  readonly messageId: string | null
  readonly fingerprint: Buffer
  readonly isIdempotent: boolean
  readonly attempts: number
  readonly priority: number
  readonly enqueuedAt: Date
  readonly dispatchedAt: Date | null
  readonly finishedAt: Date | null
  readonly expiresAt: Date | null
  readonly nextAttemptAt: Date
  readonly lastError: string | null
  readonly reason: string | null
  readonly responseStatus: number | null
  readonly response: Buffer | null
  readonly upstreamTaskId: string | null
  readonly delegationId: string | null
  readonly activityId: string | null
}

/** A delivery that was claimed from the queue, with what is to be sent. */
export type ClaimedDelivery = Delivery &
  Claim & {
    readonly request: Buffer
    readonly requestHeaders: Readonly<Record<string, string>>
  }

/** Of an answer so much is kept for who asks again. */
const MAX_KEPT_BYTES = 1024 * 1024

export function isKept(answer: Uint8Array): boolean {
  return answer.byteLength <= MAX_KEPT_BYTES
}
