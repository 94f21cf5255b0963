import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { migrate, requireMigrated } from '../../../apps/platform/src/db/migrate.ts'
import { runProcess } from '../../support/run-process.ts'
import {
  createEmptyDatabase,
  createTestDatabase,
  MIGRATIONS_DIR,
  type TestDatabase,
} from '../../support/test-database.ts'

const NEW_MIGRATION = resolve(import.meta.dirname, '../../../scripts/new-migration.ts')

let database: TestDatabase
let dir: string

beforeEach(async () => {
  database = await createEmptyDatabase()
  dir = await mkdtemp(join(tmpdir(), 'atrium-migrate-'))
})
afterEach(async () => {
  await database.drop()
  await rm(dir, { recursive: true })
})

const put = (name: string, text: string) => writeFile(join(dir, name), text)
const columns = async (table: string): Promise<string[]> => {
  const rows = await database.sql<{ name: string }[]>`
    SELECT column_name AS name FROM information_schema.columns
    WHERE table_name = ${table} ORDER BY ordinal_position`
  return rows.map(({ name }) => name)
}

describe('migrate', () => {
  it('applies the files in the order of their numbers and tells which', async () => {
    await put('0002_add_b.sql', 'ALTER TABLE t ADD COLUMN b int;')
    await put('0001_t.sql', 'CREATE TABLE t (a int);\nCREATE INDEX t_a ON t (a);')
    await put('0001_t.down.sql', 'DROP TABLE t;')
    await put('schema.sql', 'SELECT broken')
    expect(await migrate(database.sql, dir)).toEqual(['0001_t.sql', '0002_add_b.sql'])
    expect(await columns('t')).toEqual(['a', 'b'])
  })

  it('applies each file once, and only the new one the next time', async () => {
    await put('0001_t.sql', 'CREATE TABLE t (a int);')
    await migrate(database.sql, dir)
    expect(await migrate(database.sql, dir)).toEqual([])
    await put('0002_u.sql', 'CREATE TABLE u (a int);')
    expect(await migrate(database.sql, dir)).toEqual(['0002_u.sql'])
  })

  it('leaves nothing of a file that fails, and keeps those before it', async () => {
    await put('0001_t.sql', 'CREATE TABLE t (a int);')
    await put('0002_u.sql', 'CREATE TABLE u (a int); SELECT 1/0;')
    await expect(migrate(database.sql, dir)).rejects.toThrow(
      'migration 0002_u.sql failed: division by zero',
    )
    expect(await columns('t')).toEqual(['a'])
    expect(await columns('u')).toEqual([])
  })

  it('shares the work when several starters come at once', async () => {
    await put('0001_t.sql', 'CREATE TABLE t (a int); SELECT pg_sleep(0.1);')
    await put('0002_u.sql', 'CREATE TABLE u (a int); SELECT pg_sleep(0.1);')
    const all = await Promise.all([1, 2, 3, 4].map(() => migrate(database.sql, dir)))
    expect(all.flat().toSorted()).toEqual(['0001_t.sql', '0002_u.sql'])
  })

  it('brings an empty database to the schema of this release', async () => {
    const names = (await readdir(MIGRATIONS_DIR)).filter((name) => /^\d/.test(name)).toSorted()
    expect(await migrate(database.sql, MIGRATIONS_DIR)).toEqual(names)
  })

  describe('refuses', () => {
    it('a file that was changed after it was applied', async () => {
      await put('0001_t.sql', 'CREATE TABLE t (a int);')
      await migrate(database.sql, dir)
      await put('0001_t.sql', 'CREATE TABLE t (a bigint);')
      await expect(migrate(database.sql, dir)).rejects.toThrow(
        'migration 0001_t.sql was changed after it was applied',
      )
    })

    it('a database that a newer release has migrated', async () => {
      await put('0001_t.sql', 'CREATE TABLE t (a int);')
      await put('0002_u.sql', 'CREATE TABLE u (a int);')
      await migrate(database.sql, dir)
      await rm(join(dir, '0002_u.sql'))
      await expect(migrate(database.sql, dir)).rejects.toThrow(
        'the database has migration 0002_u.sql, which this release does not know',
      )
    })

    it('a new file with a number below one that is applied', async () => {
      await put('0002_u.sql', 'CREATE TABLE u (a int);')
      await migrate(database.sql, dir)
      await put('0001_t.sql', 'CREATE TABLE t (a int);')
      await expect(migrate(database.sql, dir)).rejects.toThrow('give it a higher number')
    })

    it('two files with one number', async () => {
      await put('0001_t.sql', 'CREATE TABLE t (a int);')
      await put('0001_u.sql', 'CREATE TABLE u (a int);')
      await expect(migrate(database.sql, dir)).rejects.toThrow(
        'two migrations have the number 0001',
      )
    })

    it('a folder without migrations', async () => {
      await expect(migrate(database.sql, dir)).rejects.toThrow('no migrations in')
    })
  })
})

describe('requireMigrated', () => {
  it('is content with what migrate made, and changes nothing', async () => {
    await put('0001_t.sql', 'CREATE TABLE t (a int);')
    await expect(requireMigrated(database.sql, dir)).rejects.toThrow(
      'the database lacks 0001_t.sql: run `npm run db:migrate`',
    )
    expect(await columns('schema_migrations')).toEqual([])
    await migrate(database.sql, dir)
    await requireMigrated(database.sql, dir)
  })

  it('names what is missing, and refuses what was changed or is unknown', async () => {
    await put('0001_t.sql', 'CREATE TABLE t (a int);')
    await migrate(database.sql, dir)
    await put('0002_u.sql', 'CREATE TABLE u (a int);')
    await put('0003_v.sql', 'CREATE TABLE v (a int);')
    await expect(requireMigrated(database.sql, dir)).rejects.toThrow('lacks 0002_u.sql, 0003_v.sql')
    await put('0001_t.sql', 'CREATE TABLE t (a bigint);')
    await expect(requireMigrated(database.sql, dir)).rejects.toThrow('was changed after')
    await rm(join(dir, '0001_t.sql'))
    await expect(requireMigrated(database.sql, dir)).rejects.toThrow('does not know')
  })
})

describe('npm run db:new', () => {
  const make = (...args: string[]) => runProcess(process.execPath, [NEW_MIGRATION, ...args])

  it('makes a file with the next number, which migrate takes', async () => {
    expect((await make('first', dir)).exitCode).toBe(0)
    await put('0041_t.sql', 'CREATE TABLE t (a int);')
    await put('0099.sql', 'not a migration')
    expect((await make('add_budget', dir)).stdout).toContain('0042_add_budget.sql')
    expect(await migrate(database.sql, dir)).toEqual([
      '0001_first.sql',
      '0041_t.sql',
      '0042_add_budget.sql',
    ])
  })

  it.each(['', 'Add', 'add budget', 'add-budget', '../add', 'a/b', 'add.sql'])(
    'refuses the name %j and writes nothing',
    async (title) => {
      const run = await make(title, dir)
      expect([run.exitCode, run.stderr]).toEqual([2, expect.stringContaining('small letters')])
      expect(await readdir(dir)).toEqual([])
    },
  )

  it('explains itself', async () => {
    expect((await make()).stderr).toContain('usage: npm run db:new -- NAME')
  })
})

describe('createTestDatabase', () => {
  it('clones the migrated template, each clone its own', async () => {
    const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()])
    try {
      expect(one.url).not.toBe(two.url)
      await one.sql`CREATE TABLE only_here (a int)`
      const tables = await two.sql`SELECT 1 FROM pg_tables WHERE tablename = 'only_here'`
      expect(tables).toHaveLength(0)
      expect(await two.sql`SELECT * FROM workspaces`).toHaveLength(0)
    } finally {
      await Promise.all([one.drop(), two.drop()])
    }
  })
})
