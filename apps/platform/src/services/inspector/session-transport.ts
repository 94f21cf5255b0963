/**
 * @module What the inspector asks about the folder of a session, and who can answer: the runtime of
 * the workspace, or a host that has nothing but job control (contract/runtime 20).
 */
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import type { SessionId, SessionPath } from '@atrium/path-safety/session-path'
import type { ByteWindow, ListPage } from '@atrium/runtime-contract/inspection-query'
import type { Workspace } from '../find-workspace.ts'

/** One of the contract's three operations (20.3), with its inputs judged lexically. */
export type SessionOperation =
  | { readonly kind: 'list'; readonly page: ListPage }
  | { readonly kind: 'preview'; readonly window: ByteWindow }
  | {
      readonly kind: 'content'
      readonly window: { readonly offset: number; readonly limit: number }
    }

export type SessionCall = {
  readonly workspace: Workspace
  readonly session: SessionId
  readonly path: SessionPath
  readonly operation: SessionOperation
  readonly requestId: string
}

export type SessionTransport = {
  /**
   * Answers the client with a `FolderPage`, `FilePreview` or `FileContent` whose entries are of the
   * contract's three types. Throws before the head the codes of contract/runtime 20.4 and
   * `file_forbidden`, `not_a_regular_file`, `stat_failed`; and what the way to the workspace throws.
   * Gives everything back when the client leaves.
   */
  answer(call: SessionCall, exchange: RawExchange): Promise<void>
}
