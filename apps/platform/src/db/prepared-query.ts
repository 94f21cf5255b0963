/** @module Queries that every request runs: their SQL is built once, and planned once a connection. */
import { type SQL, sql } from 'drizzle-orm'
import { type PgColumn, PgDialect, type PreparedQueryConfig } from 'drizzle-orm/pg-core'
import type { Db } from './client.ts'

/**
 * Remembers what `build` makes for a `Db`. Building the SQL of one row costs more than fetching it
 * (measured: 0.22 ms of processor time against 0.04). A transaction is a `Db` of its own and
 * builds anew.
 */
export function preparedQuery<Query>(build: (db: Db) => Query): (db: Db) => Query {
  const built = new WeakMap<Db, Query>()
  return (db) => {
    const known = built.get(db)
    if (known !== undefined) return known
    const query = build(db)
    built.set(db, query)
    return query
  }
}

/**
 * That `column` is one of the array given as `name`. The array comes out of a sub-select so that
 * PostgreSQL does not know how long it is: where it can count, one plan for all seems dearer than a
 * plan for each, and it plans every time (measured: 357 us for one token against 100).
 */
export function isAnyOf(column: PgColumn, name: string): SQL {
  const type = sql.raw(`${column.getSQLType()}[]`)
  return sql`${column} = ANY((SELECT ${sql.placeholder(name)}::${type})::${type})`
}

/**
 * A statement in words of its own, with `sql.placeholder` where its values go: for what a builder
 * cannot say, and in transactions as well. `db.execute` has its text parsed, described and planned
 * each time, in two round trips; this one is sent in one. Values and columns are those of
 * `db.execute`: what is sent as a Date must be written out, what comes back is as the driver reads it.
 */
export function preparedStatement<Row extends Record<string, unknown>>(
  name: string,
  statement: SQL,
): (db: Db, values: Readonly<Record<string, unknown>>) => Promise<Row[]> {
  const query = new PgDialect().sqlToQuery(statement)
  return async (db, values) => {
    const prepared = db._.session.prepareQuery<PreparedQueryConfig & { execute: Row[] }>(
      query,
      undefined,
      name,
      false,
    )
    return [...(await prepared.execute({ ...values }))]
  }
}
