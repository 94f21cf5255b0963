/** @module Where a reader of the activity goes on (contract/platform 5.1). */
import { AppError } from '@atrium/http-kit/app-error'
import { findActivitySeq } from '../db/activity-store.ts'
import type { Db } from '../db/client.ts'
import type { WorkspaceId } from '../domain/ids.ts'

/** After this row; `start`: after none. */
export type ActivityPlace = { readonly id: string } | 'start'

/**
 * The place as a number. Throws `activity_cursor_gone` for a row that is unknown, pruned or of
 * another workspace alike.
 */
export async function findPlace(
  db: Db,
  { workspaceId, after }: { workspaceId: WorkspaceId; after: ActivityPlace | undefined },
): Promise<number | undefined> {
  if (after === undefined) return undefined
  if (after === 'start') return 0
  const seq = await findActivitySeq(db, { id: after.id, workspaceId })
  if (seq === undefined) throw new AppError('activity_cursor_gone')
  return seq
}
