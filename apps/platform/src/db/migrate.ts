/** @module Numbered SQL files, forward only, each once (H25). */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type postgres from 'postgres'

/** Thrown when files and database disagree; the message says what to do. */
export class MigrationError extends Error {}

type MigrationFile = { readonly name: string; readonly text: string; readonly hash: string }

/** `0001_workspaces.sql`; everything else in the folder is not a migration. */
const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/

/** Any number, the same for ever: every starter of every version has to ask for the same lock. */
const ADVISORY_LOCK_KEY = 7_204_116_003

/**
 * Applies the files of `dir` that the database does not have yet, each in its own transaction under
 * an advisory lock, so that several starters share the work. Returns the names it applied. Throws
 * `MigrationError` when an applied file was changed, is missing, or a new one is out of order.
 */
export async function migrate(sql: postgres.Sql, dir: string): Promise<string[]> {
  const files = await readMigrations(dir)
  await sql.begin(async (tx) => {
    await lockMigrations(tx)
    await tx`
      CREATE TABLE IF NOT EXISTS schema_migrations (
        filename text PRIMARY KEY,
        hash text NOT NULL,
        applied_at timestamptz NOT NULL
      )`
    requireSameHistory(files, await readHistory(tx))
  })
  const applied: string[] = []
  for (const file of files) {
    if (await sql.begin((tx) => applyOnce(tx, file))) applied.push(file.name)
  }
  return applied
}

/**
 * Checks, changing nothing, that the database has exactly the migrations of `dir`. Throws
 * `MigrationError` when one is missing, changed, or not of this release.
 */
export async function requireMigrated(sql: postgres.Sql, dir: string): Promise<void> {
  const files = await readMigrations(dir)
  const history = await sql.begin('READ ONLY', async (tx) => {
    const [found] = await tx<{ isThere: boolean }[]>`
      SELECT to_regclass('schema_migrations') IS NOT NULL AS "isThere"`
    return found?.isThere === true ? await readHistory(tx) : []
  })
  requireSameHistory(files, history)
  const pending = files.slice(history.length).map(({ name }) => name)
  if (pending.length > 0) {
    throw new MigrationError(
      `the database lacks ${pending.join(', ')}: run \`npm run db:migrate\`, or start with MIGRATE_ON_START=1`,
    )
  }
}

/** Whether this call applied it: another starter may have been here while we waited. */
async function applyOnce(tx: postgres.TransactionSql, file: MigrationFile): Promise<boolean> {
  await lockMigrations(tx)
  const known = await readHistory(tx)
  if (known.some(({ filename }) => filename === file.name)) return false
  try {
    // Without parameters this is the simple protocol, which takes several statements.
    await tx.unsafe(file.text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new MigrationError(`migration ${file.name} failed: ${reason}`, { cause: error })
  }
  await tx`
    INSERT INTO schema_migrations (filename, hash, applied_at)
    VALUES (${file.name}, ${file.hash}, clock_timestamp())`
  return true
}

/** Held until the transaction ends. */
async function lockMigrations(tx: postgres.TransactionSql): Promise<void> {
  await tx`SELECT pg_advisory_xact_lock(${ADVISORY_LOCK_KEY})`
}

type HistoryRow = { readonly filename: string; readonly hash: string }

async function readHistory(tx: postgres.TransactionSql): Promise<readonly HistoryRow[]> {
  return await tx<HistoryRow[]>`SELECT filename, hash FROM schema_migrations ORDER BY filename`
}

function requireSameHistory(files: readonly MigrationFile[], history: readonly HistoryRow[]): void {
  const byName = new Map(files.map((file) => [file.name, file]))
  for (const { filename, hash } of history) {
    const file = byName.get(filename)
    if (file === undefined) {
      throw new MigrationError(
        `the database has migration ${filename}, which this release does not know: ` +
          'start the release that applied it, or a newer one',
      )
    }
    if (file.hash !== hash) {
      throw new MigrationError(
        `migration ${filename} was changed after it was applied: ` +
          'restore the file and put the change into a new one',
      )
    }
  }
  const applied = new Set(history.map(({ filename }) => filename))
  const last = history.at(-1)?.filename ?? ''
  const late = files.find(({ name }) => name < last && !applied.has(name))
  if (late !== undefined) {
    throw new MigrationError(
      `migration ${late.name} comes before ${last}, which is applied already: give it a higher number`,
    )
  }
}

/**
 * The file name of the next migration in `dir`: `add_budget` becomes `0002_add_budget.sql`. Throws
 * `MigrationError` when no such file would be a migration.
 */
export async function nextMigrationName(dir: string, title: string): Promise<string> {
  const numbers = (await readdir(dir)).map((name) => Number(FILE_NAME.exec(name)?.[1] ?? 0))
  const name = `${String(Math.max(0, ...numbers) + 1).padStart(4, '0')}_${title}.sql`
  if (!FILE_NAME.test(name)) {
    throw new MigrationError('a migration is named in small letters, digits and _: add_budget')
  }
  return name
}

async function readMigrations(dir: string): Promise<MigrationFile[]> {
  const names = (await readdir(dir)).filter((name) => FILE_NAME.test(name)).toSorted()
  if (names.length === 0) throw new MigrationError(`no migrations in ${dir}`)
  const numbers = names.map((name) => name.slice(0, 4))
  const twice = numbers.find((number, index) => numbers.indexOf(number) !== index)
  if (twice !== undefined) {
    throw new MigrationError(`two migrations have the number ${twice}: renumber the newer one`)
  }
  return await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(dir, name), 'utf8')
      return { name, text, hash: createHash('sha256').update(text).digest('hex') }
    }),
  )
}
