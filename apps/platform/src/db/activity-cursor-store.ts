/** @module How far readers of the activity have come that let the platform keep that. */
import { and, eq, lt, sql } from 'drizzle-orm'
import type { WorkspaceId } from '../domain/ids.ts'
import { type Db, inTransaction } from './client.ts'
import { activityCursors } from './schema.ts'

export type CursorName = { readonly workspaceId: WorkspaceId; readonly name: string }

/** The place of a cursor; undefined when nobody has moved it yet. */
export async function findCursorSeq(db: Db, cursor: CursorName): Promise<number | undefined> {
  const rows = await db
    .select({ seq: activityCursors.seq })
    .from(activityCursors)
    .where(whereCursor(cursor))
  return rows[0]?.seq
}

/** `full`: it would be one more than `maxCursors` of its workspace. */
export type Moved = 'moved' | 'full'

type Target = { readonly seq: number; readonly at: Date; readonly maxCursors: number }

/** Moves a cursor to a place, or leaves it where it is when that is later; makes it when it is new. */
export async function moveCursor(db: Db, cursor: CursorName, to: Target): Promise<Moved> {
  if (await moveKnown(db, cursor, to)) return 'moved'
  return await inTransaction(db, async (tx) => {
    // Those of one workspace one after the other: each counts what the one before has made.
    await tx.execute(
      sql`SELECT pg_advisory_xact_lock(hashtextextended(${`cursors:${cursor.workspaceId}`}, 0))`,
    )
    return await moveOrMake(tx, cursor, to)
  })
}

async function moveKnown(db: Db, cursor: CursorName, { seq, at }: Target): Promise<boolean> {
  const rows = await db
    .update(activityCursors)
    .set({
      seq: sql`GREATEST(${activityCursors.seq}, ${seq}::bigint)`,
      updatedAt: sql`GREATEST(${activityCursors.updatedAt}, ${at.toISOString()}::timestamptz)`,
    })
    .where(whereCursor(cursor))
    .returning({ name: activityCursors.name })
  return rows.length === 1
}

async function moveOrMake(
  tx: Db,
  { workspaceId, name }: CursorName,
  { seq, at, maxCursors }: Target,
): Promise<Moved> {
  const rows = await tx.execute(sql`
    INSERT INTO activity_cursors (workspace_id, name, seq, updated_at)
    SELECT ${workspaceId}::uuid, ${name}, ${seq}::bigint, ${at.toISOString()}::timestamptz
     WHERE EXISTS (SELECT 1 FROM activity_cursors
                    WHERE workspace_id = ${workspaceId} AND name = ${name})
        OR (SELECT count(*) FROM activity_cursors WHERE workspace_id = ${workspaceId})
           < ${maxCursors}
    ON CONFLICT (workspace_id, name) DO UPDATE
      SET seq = GREATEST(activity_cursors.seq, EXCLUDED.seq),
          updated_at = GREATEST(activity_cursors.updated_at, EXCLUDED.updated_at)
    RETURNING seq`)
  return rows.length === 1 ? 'moved' : 'full'
}

/** Forgets a cursor; one that is not there is forgotten already. */
export async function deleteCursor(db: Db, cursor: CursorName): Promise<void> {
  await db.delete(activityCursors).where(whereCursor(cursor))
}

/** Deletes the cursors that nobody has moved since `before`; returns how many. */
export async function deleteCursorsBefore(db: Db, before: Date): Promise<number> {
  const rows = await db
    .delete(activityCursors)
    .where(lt(activityCursors.updatedAt, before))
    .returning({ name: activityCursors.name })
  return rows.length
}

function whereCursor({ workspaceId, name }: CursorName) {
  return and(eq(activityCursors.workspaceId, workspaceId), eq(activityCursors.name, name))
}
