/**
 * @module The inspector's queries as they go on to a workspace: written anew from what was
 * understood, never as they came.
 */
import {
  type ByteWindow,
  encodeCursor,
  type ListPage,
} from '@atrium/runtime-contract/inspection-query'

export function listQuery({ limit, after }: ListPage): Record<string, string> {
  return {
    limit: String(limit),
    ...(after === undefined ? {} : { cursor: encodeCursor(after) }),
  }
}

export function windowQuery(window: ByteWindow): Record<string, string> {
  if ('tail' in window) return { tail: String(window.tail) }
  return { offset: String(window.offset), limit: String(window.limit) }
}
