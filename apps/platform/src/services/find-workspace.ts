/** @module Reading workspaces for the floors above. */
import { AppError } from '@atrium/http-kit/app-error'
import type { Db } from '../db/client.ts'
import type { WorkspaceRow } from '../db/schema.ts'
import { findLiveWorkspace, listLiveWorkspaces } from '../db/workspace-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'

/** A workspace as the service floor hands it out; never contains a plain secret. */
export type Workspace = WorkspaceRow

/** The live workspace. Throws `workspace_not_found` for an unknown or removed one alike. */
export async function getWorkspace(db: Db, id: WorkspaceId): Promise<Workspace> {
  const row = await findLiveWorkspace(db, id)
  if (row === undefined) throw new AppError('workspace_not_found')
  return row
}

/** Every live workspace, oldest first. */
export async function listWorkspaces(db: Db): Promise<Workspace[]> {
  return listLiveWorkspaces(db)
}

/** For those who poll (contract/platform 7.9): like `getWorkspace`, and its failure says `deleted`. */
export async function getState(db: Db, id: WorkspaceId): Promise<Workspace> {
  const row = await findLiveWorkspace(db, id)
  if (row === undefined)
    throw new AppError('workspace_not_found', { extensions: { deleted: true } })
  return row
}
