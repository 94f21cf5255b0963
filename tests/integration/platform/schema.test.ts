import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getTableName, is } from 'drizzle-orm'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dumpSchema } from '../../../apps/platform/src/db/dump-schema.ts'
import * as schema from '../../../apps/platform/src/db/schema.ts'
import {
  createTestDatabase,
  MIGRATIONS_DIR,
  type TestDatabase,
} from '../../support/test-database.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database.drop()
})

const tables = Object.values(schema).filter((value) => is(value, PgTable))

describe('migrations/schema.sql', () => {
  it('is what the migrations make (npm run db:dump writes it)', async () => {
    const committed = await readFile(join(MIGRATIONS_DIR, 'schema.sql'), 'utf8')
    expect(committed.slice(committed.indexOf('CREATE'))).toBe(await dumpSchema(database.sql))
  })

  it.each([
    'ALTER TABLE workspaces ADD COLUMN extra int',
    'ALTER TABLE workspaces ALTER COLUMN tier SET DEFAULT 7',
    'ALTER TABLE workspaces ALTER COLUMN tier DROP NOT NULL',
    'ALTER TABLE workspaces ADD CONSTRAINT tier_positive CHECK (tier > 0)',
    'CREATE INDEX extra_idx ON workspaces (tier) WHERE tier > 1',
    "ALTER TYPE workspace_status ADD VALUE 'extra'",
    'CREATE TABLE extra (id int)',
  ])('would not be after %s', async (change) => {
    const changed = await createTestDatabase()
    try {
      await changed.sql.unsafe(change)
      expect(await dumpSchema(changed.sql)).not.toBe(await dumpSchema(database.sql))
    } finally {
      await changed.drop()
    }
  })
})

describe('schema.ts', () => {
  it('has every table that the migrations make', () => {
    expect(tables.length).toBeGreaterThanOrEqual(4)
  })

  it.each(tables.map((table) => [getTableName(table), table] as const))(
    'describes %s as it is: columns, types, what may be null',
    async (name, table) => {
      const rows = await database.sql<{ column: string; type: string; notNull: boolean }[]>`
        SELECT attname AS column, format_type(atttypid, atttypmod) AS type, attnotnull AS "notNull"
        FROM pg_attribute
        WHERE attrelid = ${name}::regclass AND attnum > 0 AND NOT attisdropped
        ORDER BY attname COLLATE "C"`
      const described = getTableConfig(table).columns.map((column) => ({
        column: column.name,
        type: column.getSQLType(),
        notNull: column.notNull,
      }))
      const byName = described.toSorted((a, b) => (a.column < b.column ? -1 : 1))
      expect(byName).toEqual([...rows])
    },
  )
})
