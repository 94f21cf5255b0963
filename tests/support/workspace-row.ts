/** @module A row of a workspace, for tests of what is stored. */
import type { NewWorkspace } from '../../apps/platform/src/db/workspace-store.ts'
import type { WorkspaceId } from '../../apps/platform/src/domain/ids.ts'
import type { WorkspaceStatus } from '../../apps/platform/src/domain/workspace-status.ts'

/** What `insertWorkspace` takes, of an `echo` in this status since `now`. */
export function newWorkspaceRow(
  id: WorkspaceId,
  status: WorkspaceStatus,
  now = new Date(),
): NewWorkspace {
  const common = { name: 'w', tier: 2, runtimeKind: 'echo', workspaceAccess: 'none' }
  return { ...common, id, status, createdAt: now, updatedAt: now, statusSince: now }
}
