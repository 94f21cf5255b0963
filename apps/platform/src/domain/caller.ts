/** @module Who is speaking: what authentication found out, and nothing more (design/architecture 3). */
import type { WorkspaceId } from './ids.ts'

export type Caller =
  /** Holds the admin token, or speaks to an open development platform. */
  | { readonly kind: 'operator' }
  /** Holds a live workspace token. */
  | { readonly kind: 'workspace'; readonly workspaceId: WorkspaceId }
  | { readonly kind: 'anonymous' }

export const OPERATOR: Caller = Object.freeze({ kind: 'operator' })
export const ANONYMOUS: Caller = Object.freeze({ kind: 'anonymous' })

/** Whether the caller may act for this workspace: its operator, or the workspace itself. */
export function mayActFor(caller: Caller, workspaceId: WorkspaceId): boolean {
  return (
    caller.kind === 'operator' ||
    (caller.kind === 'workspace' && caller.workspaceId === workspaceId)
  )
}
