/** @module Sessions of a workspace that has a runtime of ours: it answers, and the answer passes through. */
import {
  CONTENT_OPERATION,
  LIST_OPERATION,
  PREVIEW_OPERATION,
  SESSION_PARAMETER,
} from '@atrium/runtime-contract/file-inspection'
import type { ForwardOperation } from '@atrium/runtime-contract/file-transfer'
import { type ForwardDeps, forwardToRuntime } from '../forward-to-runtime.ts'
import { noteUse } from '../note-use.ts'
import { type ForwardTargetDeps, resolveForwardTarget } from '../resolve-forward-target.ts'
import { listQuery, windowQuery } from './forwarded-query.ts'
import type { SessionOperation, SessionTransport } from './session-transport.ts'

export type RuntimeTransportDeps = ForwardDeps & ForwardTargetDeps

export function runtimeTransport(deps: RuntimeTransportDeps): SessionTransport {
  return {
    async answer({ workspace, session, path, operation, requestId }, exchange) {
      const target = await resolveForwardTarget(deps, workspace)
      noteUse(deps, workspace)
      const forwarded = forwardedOperation(operation)
      await forwardToRuntime(deps, {
        operation: forwarded.operation,
        target,
        exchange,
        requestId,
        query: { [SESSION_PARAMETER]: session, path: path.echo, ...forwarded.query },
        ownHeaders: { 'content-type': 'application/json' },
      })
    },
  }
}

function forwardedOperation(asked: SessionOperation): {
  readonly operation: ForwardOperation
  readonly query: Readonly<Record<string, string>>
} {
  switch (asked.kind) {
    case 'list':
      return { operation: LIST_OPERATION, query: listQuery(asked.page) }
    case 'preview':
      return { operation: PREVIEW_OPERATION, query: windowQuery(asked.window) }
    case 'content':
      // Always as much as an answer may hold: nothing to say about it.
      return { operation: CONTENT_OPERATION, query: { offset: String(asked.window.offset) } }
  }
}
