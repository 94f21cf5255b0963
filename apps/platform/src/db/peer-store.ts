/** @module Neighbours in the tree of workspaces (contract/platform 2.4, 4.9). */
import { and, asc, eq, isNull, ne, or, sql } from 'drizzle-orm'
import { type Lineage, MAX_ANCESTOR_HOPS } from '../domain/hierarchy.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { Db } from './client.ts'
import { preparedStatement } from './prepared-query.ts'
import { type WorkspaceRow, workspaces } from './schema.ts'
import { whereLive } from './workspace-store.ts'

const linesUp = preparedStatement<{ start: string; id: string }>(
  'lines_up',
  sql`
    WITH RECURSIVE up (start, id, parent_id, depth) AS (
      SELECT id, id, parent_id, 0 FROM workspaces
       WHERE id IN (${sql.placeholder('a')}, ${sql.placeholder('b')}) AND status <> 'removed'
      UNION ALL
      SELECT up.start, p.id, p.parent_id, up.depth + 1
        FROM up JOIN workspaces p ON p.id = up.parent_id WHERE up.depth < ${MAX_ANCESTOR_HOPS}
    )
    SELECT start, id FROM up ORDER BY depth`,
)

/**
 * Both lines of ancestors in one query; a workspace that is unknown or removed has none. The bound on
 * the hops also ends a walk in circles.
 */
export async function findLineages(
  db: Db,
  pair: { readonly a: WorkspaceId; readonly b: WorkspaceId },
): Promise<{ readonly a: Lineage; readonly b: Lineage }> {
  const rows = await linesUp(db, pair)
  const lineOf = (start: WorkspaceId): Lineage =>
    rows.filter((row) => row.start === start).map((row) => row.id)
  return { a: lineOf(pair.a), b: lineOf(pair.b) }
}

/**
 * The live siblings, children and parent of a workspace, oldest first. `search`: only those whose
 * name or role contains it, whatever the case; it must be text that PostgreSQL stores.
 */
export async function listPeers(
  db: Db,
  own: Pick<WorkspaceRow, 'id' | 'parentId'>,
  search: string | undefined,
): Promise<WorkspaceRow[]> {
  const isSibling =
    own.parentId === null ? isNull(workspaces.parentId) : eq(workspaces.parentId, own.parentId)
  const isParent = own.parentId === null ? undefined : eq(workspaces.id, own.parentId)
  return db
    .select()
    .from(workspaces)
    .where(
      and(
        whereLive,
        ne(workspaces.id, own.id),
        or(isSibling, eq(workspaces.parentId, own.id), isParent),
        search === undefined ? undefined : or(contains('name', search), contains('role', search)),
      ),
    )
    .orderBy(asc(workspaces.createdAt), asc(workspaces.id))
}

/** No pattern: `%` and `_` are what they are. A role that is NULL contains nothing (wart W33). */
function contains(column: 'name' | 'role', search: string) {
  return sql`position(lower(${search}) in lower(coalesce(${workspaces[column]}, ''))) > 0`
}
