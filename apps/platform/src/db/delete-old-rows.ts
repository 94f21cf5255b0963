/** @module Logs by age: one batch of their oldest rows goes. */
import { asc, inArray, lt } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import type { Db } from './client.ts'

export type OldRows = { readonly before: Date; readonly limit: number }

/**
 * Deletes at most `limit` rows whose `at` is before `before`, the oldest first, and returns how many;
 * rows that another replica is deleting are left to it.
 */
export async function deleteOldRows(
  db: Db,
  log: { readonly table: PgTable; readonly id: PgColumn; readonly at: PgColumn },
  old: OldRows,
): Promise<number> {
  const { table, id, at } = log
  const oldest = db
    .select({ id })
    .from(table)
    .where(lt(at, old.before))
    .orderBy(asc(at))
    .limit(old.limit)
    .for('update', { skipLocked: true })
  const rows = await db.delete(table).where(inArray(id, oldest)).returning({ id })
  return rows.length
}
