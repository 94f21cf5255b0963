/** @module Looking into the folder of a session, by whichever way its workspace has (ADR-0041). */
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import type { WorkspaceId } from '../../domain/ids.ts'
import { getWorkspace } from '../find-workspace.ts'
import { type RuntimeTransportDeps, runtimeTransport } from './runtime-transport.ts'
import type { SessionCall } from './session-transport.ts'

export type InspectSessionDeps = RuntimeTransportDeps

export type AskedSession = Omit<SessionCall, 'workspace'> & { readonly workspaceId: WorkspaceId }

/** Throws `workspace_not_found` and what `SessionTransport` throws. */
export async function inspectSession(
  deps: InspectSessionDeps,
  { workspaceId, ...asked }: AskedSession,
  exchange: RawExchange,
): Promise<void> {
  const workspace = await getWorkspace(deps.db, workspaceId)
  await runtimeTransport(deps).answer({ ...asked, workspace }, exchange)
}
