/** @module The schema as text, from the catalog: what all migrations together have made. */
import type postgres from 'postgres'

/** The same schema gives the same text, on every server and in every order of migrations. */
export async function dumpSchema(sql: postgres.Sql): Promise<string> {
  const tables = await sql<{ name: string }[]>`
    SELECT c.relname AS name FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    ORDER BY c.relname COLLATE "C"`
  const parts = [await dumpEnums(sql)]
  for (const { name } of tables) parts.push(await dumpTable(sql, name))
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

async function dumpEnums(sql: postgres.Sql): Promise<string> {
  const enums = await sql<{ name: string; members: string }[]>`
    SELECT t.typname AS name,
           string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) AS members
    FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
    WHERE t.typnamespace = 'public'::regnamespace
    GROUP BY t.typname ORDER BY t.typname COLLATE "C"`
  return enums.map(({ name, members }) => `CREATE TYPE ${name} AS ENUM (${members});`).join('\n')
}

async function dumpTable(sql: postgres.Sql, table: string): Promise<string> {
  const lines = [...(await columnLines(sql, table)), ...(await constraintLines(sql, table))]
  const indexes = await indexStatements(sql, table)
  return [`CREATE TABLE ${table} (\n  ${lines.join(',\n  ')}\n);`, ...indexes].join('\n')
}

async function columnLines(sql: postgres.Sql, table: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
                     CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                     'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS line
    FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = ${table}::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum`
  return rows.map(({ line }) => line)
}

/** NOT NULL stands with the column; since PostgreSQL 18 it is in this catalog too. */
async function constraintLines(sql: postgres.Sql, table: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT 'CONSTRAINT ' || conname || ' ' || pg_get_constraintdef(oid) AS line
    FROM pg_constraint
    WHERE conrelid = ${table}::regclass AND contype <> 'n'
    ORDER BY array_position(ARRAY['p', 'u', 'f', 'c', 'x'], contype::text), conname COLLATE "C"`
  return rows.map(({ line }) => line)
}

/** Those that do not come with a constraint. */
async function indexStatements(sql: postgres.Sql, table: string): Promise<string[]> {
  const rows = await sql<{ statement: string }[]>`
    SELECT pg_get_indexdef(i.indexrelid) || ';' AS statement
    FROM pg_index i
    WHERE i.indrelid = ${table}::regclass
      AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)
    ORDER BY i.indexrelid::regclass::text COLLATE "C"`
  return rows.map(({ statement }) => statement)
}
