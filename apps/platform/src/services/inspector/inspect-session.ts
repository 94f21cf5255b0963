/** @module Looking into the folder of a session, by whichever way its workspace has (ADR-0041). */
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import type { WorkspaceId } from '../../domain/ids.ts'
import { getWorkspace } from '../find-workspace.ts'
import { findJobControl, type JobControl } from './job-control.ts'
import { type RuntimeTransportDeps, runtimeTransport } from './runtime-transport.ts'
import type { SessionCall, SessionTransport } from './session-transport.ts'

export type InspectSessionDeps = RuntimeTransportDeps & {
  readonly shellctlTransport: (host: JobControl) => SessionTransport
}

export type AskedSession = Omit<SessionCall, 'workspace'> & { readonly workspaceId: WorkspaceId }

/**
 * Through job control where an operator has written a host down, and never because a runtime is
 * away: what is there must not depend on who happens to answer. Throws `workspace_not_found`,
 * `job_control_unreadable` and what `SessionTransport` throws.
 */
export async function inspectSession(
  deps: InspectSessionDeps,
  { workspaceId, ...asked }: AskedSession,
  exchange: RawExchange,
): Promise<void> {
  const workspace = await getWorkspace(deps.db, workspaceId)
  const host = await findJobControl(deps, workspaceId)
  const transport = host === undefined ? runtimeTransport(deps) : deps.shellctlTransport(host)
  await transport.answer({ ...asked, workspace }, exchange)
}
