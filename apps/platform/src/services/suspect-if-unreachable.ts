/** @module The request path's share of the evidence that a workspace is dead (contract/platform 4.5). */
import { type ErrorCode, findAppError } from '@atrium/http-kit/app-error'
import type { WorkspaceId } from '../domain/ids.ts'
import type { WorkspaceLifecycle } from './workspace-lifecycle.ts'

/** A connection that was refused or broke, in the words of the file routes and of messages. */
const UNREACHABLE: ReadonlySet<string> = new Set<ErrorCode>([
  'workspace_unreachable',
  'agent_unreachable',
])

/** Passes on what `exchange` resolves or rejects with; nobody at the address raises a suspicion. */
export async function suspectIfUnreachable<T>(
  lifecycle: Pick<WorkspaceLifecycle, 'suspect'>,
  id: WorkspaceId,
  exchange: Promise<T>,
): Promise<T> {
  try {
    return await exchange
  } catch (error) {
    if (UNREACHABLE.has(findAppError(error)?.code ?? '')) lifecycle.suspect(id)
    throw error
  }
}
