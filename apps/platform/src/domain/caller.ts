/** @module Who is speaking: what authentication found out, and nothing more (design/architecture 3). */
import type { WorkspaceId } from './ids.ts'

/** Somebody who may do everything; how that was shown matters to the audit trail only. */
export type Operator =
  /** Holds the admin token, or speaks to a development platform that asks for none. */
  | { readonly kind: 'operator'; readonly via: 'admin_token' | 'open_development' }
  /** Holds a live token of the organisation. */
  | {
      readonly kind: 'operator'
      readonly via: 'org_token'
      readonly tokenId: string
      readonly prefix: string
      readonly orgId: string | null
    }
  /** A member of the tenant, by the control plane's word. */
  | { readonly kind: 'operator'; readonly via: 'session'; readonly userId: string }

export type Caller =
  | Operator
  /** Holds a live workspace token. */
  | { readonly kind: 'workspace'; readonly workspaceId: WorkspaceId; readonly tokenId: string }
  | { readonly kind: 'anonymous' }

/** Who a message comes from: a caller, or a part of the platform itself such as `webhook:github`. */
export type Sender = Caller | { readonly kind: 'internal'; readonly name: string }

export const OPERATOR: Operator = Object.freeze({ kind: 'operator', via: 'admin_token' })
export const DEVELOPER: Operator = Object.freeze({ kind: 'operator', via: 'open_development' })
export const ANONYMOUS: Caller = Object.freeze({ kind: 'anonymous' })

/** Whether the caller may act for this workspace: its operator, or the workspace itself. */
export function mayActFor(caller: Sender, workspaceId: WorkspaceId): boolean {
  return (
    caller.kind === 'operator' ||
    (caller.kind === 'workspace' && caller.workspaceId === workspaceId)
  )
}

/** Names of the platform's own senders, which nobody outside may bear (contract/platform 3.8). */
export function isInternalName(name: string): boolean {
  return /^(webhook|system|test|channel):/.test(name)
}

/**
 * Who stands in the activity log as the source of what was sent to `target`: another workspace by its
 * id, the platform's own senders by name (wart W7), people and the workspace itself not at all.
 */
export function sourceOf(
  sender: Sender,
  target: WorkspaceId,
): { readonly sourceId: WorkspaceId | null; readonly sourceName: string | null } {
  if (sender.kind === 'internal') return { sourceId: null, sourceName: sender.name }
  const isOther = sender.kind === 'workspace' && !mayActFor(sender, target)
  return { sourceId: isOther ? sender.workspaceId : null, sourceName: null }
}
