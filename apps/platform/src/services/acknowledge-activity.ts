/** @module A reader of the activity lets the platform keep how far it has come (ADR-0038). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import { deleteCursor, moveCursor } from '../db/activity-cursor-store.ts'
import type { Db } from '../db/client.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { getPlaceOfRow } from './activity-place.ts'

/** A workspace makes up their names: there are not more of them. */
export const MAX_ACTIVITY_CURSORS = 32

export type Acknowledgement = {
  readonly cursor: string
  /** Everything up to this row is done; null forgets the cursor. */
  readonly id: string | null
}

/**
 * Moves a cursor to a row, never back: one that came late changes nothing. Throws
 * `activity_cursor_gone` for a row that is unknown, pruned or of another workspace alike,
 * `activity_cursor_limit`.
 */
export async function acknowledgeActivity(
  { db, clock }: { readonly db: Db; readonly clock: Clock },
  workspaceId: WorkspaceId,
  { cursor: name, id }: Acknowledgement,
): Promise<void> {
  if (id === null) return await deleteCursor(db, { workspaceId, name })
  const seq = await getPlaceOfRow(db, { workspaceId, id })
  const to = { seq, at: clock.now(), maxCursors: MAX_ACTIVITY_CURSORS }
  const moved = await moveCursor(db, { workspaceId, name }, to)
  if (moved === 'full') throw new AppError('activity_cursor_limit')
}
