/** @module The hierarchy rule over stored workspaces (contract/platform 4.9). */
import type { Db } from '../db/client.ts'
import { findLineages } from '../db/peer-store.ts'
import { mayCommunicate } from '../domain/hierarchy.ts'
import type { WorkspaceId } from '../domain/ids.ts'

/** Whether two workspaces may talk; one that is unknown or removed talks to nobody. */
export async function canCommunicate(db: Db, a: WorkspaceId, b: WorkspaceId): Promise<boolean> {
  const lines = await findLineages(db, { a, b })
  return mayCommunicate(lines.a, lines.b)
}
