/** @module Where a reader of the activity goes on, and that nothing between is gone (contract/platform 5.1). */
import { AppError } from '@atrium/http-kit/app-error'
import { findCursorSeq } from '../db/activity-cursor-store.ts'
import {
  type ActivityQuery,
  findActivitySeq,
  findNewestUnlessFitting,
  findPrunedSeq,
  listActivity,
} from '../db/activity-store.ts'
import type { Db } from '../db/client.ts'
import type { ActivityRow } from '../db/schema.ts'
import type { WorkspaceId } from '../domain/ids.ts'

/** After this row, or after the last one that was acknowledged under a name; `start`: after none. */
export type ActivityPlace = { readonly id: string } | { readonly cursor: string } | 'start'

/**
 * The place as a number. Throws `activity_cursor_gone` for a row that is unknown, pruned or of
 * another workspace alike, and for a cursor behind which something unread was pruned. Under a name
 * that nothing was acknowledged under yet everything is still to be read.
 */
export async function findPlace(
  db: Db,
  { workspaceId, after }: { workspaceId: WorkspaceId; after: ActivityPlace | undefined },
): Promise<number | undefined> {
  if (after === undefined) return undefined
  if (after === 'start') return 0
  if ('cursor' in after) {
    const seq = await findCursorSeq(db, { workspaceId, name: after.cursor })
    if (seq !== undefined) await requireUnpruned(db, workspaceId, seq)
    return seq ?? 0
  }
  return await getPlaceOfRow(db, { workspaceId, id: after.id })
}

/** Throws `activity_cursor_gone`. */
export async function getPlaceOfRow(
  db: Db,
  row: { readonly workspaceId: WorkspaceId; readonly id: string },
): Promise<number> {
  const seq = await findActivitySeq(db, row)
  if (seq === undefined) throw new AppError('activity_cursor_gone')
  return seq
}

/** A page of the log. Throws `activity_cursor_gone` when rows between its place and it were pruned. */
export async function readPage(db: Db, query: ActivityQuery): Promise<ActivityRow[]> {
  const rows = await listActivity(db, query)
  const { workspaceId, afterSeq = 0 } = query
  // Looked at afterwards: rows may go while others are read.
  if (rows.length > 0 && afterSeq > 0) await requireUnpruned(db, workspaceId, afterSeq)
  return rows
}

/**
 * The newest row when nothing after the place of the query fits: a reader may go on after it, and what
 * it was never to be told of may go by age. Undefined when there is no row to pass over. Throws
 * `activity_cursor_gone` when rows after the place were pruned before anybody looked whether they fit.
 */
export async function findPassedRow(
  db: Db,
  query: ActivityQuery,
): Promise<{ readonly id: string; readonly seq: number } | undefined> {
  const { workspaceId, afterSeq, activityType, source, notBefore } = query
  const isFiltered = [activityType, source, notBefore].some((filter) => filter !== undefined)
  if (afterSeq === undefined || !isFiltered) return undefined
  const passed = await findNewestUnlessFitting(db, { ...query, afterSeq })
  if (passed !== undefined && afterSeq > 0) await requireUnpruned(db, workspaceId, afterSeq)
  return passed
}

async function requireUnpruned(db: Db, workspaceId: WorkspaceId, seq: number): Promise<void> {
  if ((await findPrunedSeq(db, workspaceId)) > seq) throw new AppError('activity_cursor_gone')
}
