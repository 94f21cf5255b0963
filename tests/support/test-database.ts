/** @module A database of one's own in 50 ms: cloned from a template that is migrated once. */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import postgres from 'postgres'
import { migrate } from '../../apps/platform/src/db/migrate.ts'

export type TestDatabase = {
  readonly url: string
  /** A pool on this database; closed by `drop`. */
  readonly sql: postgres.Sql
  drop(): Promise<void>
}

export const MIGRATIONS_DIR = resolve(import.meta.dirname, '../../migrations')

/** Any number, the same in every worker. */
const TEMPLATE_LOCK_KEY = 7_204_116_004
const HOUR_MS = 60 * 60 * 1000

/** Names carry the hour they were made in, so that leftovers of killed runs are known by name. */
const OWN_NAME = /^atrium_test_(\d+)_/
const TEMPLATE_NAME = /^atrium_template_(\d+)_/
const TEMPLATE_MAX_AGE_HOURS = 24

/** A migrated, empty database. The server comes from `ATRIUM_TEST_DATABASE_URL` (global setup). */
export async function createTestDatabase(): Promise<TestDatabase> {
  return await cloneDatabase(true)
}

/** A database without any table, for tests of the migrations themselves. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  return await cloneDatabase(false)
}

async function cloneDatabase(isMigrated: boolean): Promise<TestDatabase> {
  const name = `atrium_test_${currentHour()}_${randomBytes(6).toString('hex')}`
  await asAdmin(async (admin) => {
    // template0 has no connections ever, and sorts by bytes like the embedded server.
    const template = isMigrated ? await ensureTemplate(admin) : 'template0'
    await admin`CREATE DATABASE ${admin(name)} TEMPLATE ${admin(template)}`
  })
  const url = urlOf(name)
  const sql = connect(url, 5)
  return {
    url,
    sql,
    async drop() {
      await sql.end({ timeout: 5 })
      await asAdmin((admin) => admin`DROP DATABASE IF EXISTS ${admin(name)} WITH (FORCE)`)
    },
  }
}

let template: Promise<string> | undefined

/** The template of these migrations; the first worker that asks makes it, the others wait. */
function ensureTemplate(admin: postgres.Sql): Promise<string> {
  template ??= admin.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(${TEMPLATE_LOCK_KEY})`
    return await asAdmin(makeTemplate)
  })
  return template
}

async function makeTemplate(admin: postgres.Sql): Promise<string> {
  const databases = await admin<{ datname: string; datistemplate: boolean }[]>`
    SELECT datname, datistemplate FROM pg_database WHERE datname LIKE 'atrium\\_%'`
  const hash = migrationsHash()
  for (const { datname, datistemplate } of databases) {
    const isCurrent = datname.endsWith(hash) && !isExpired(datname)
    if (isCurrent && datistemplate) return datname
    // Without the mark it was left half made; only the holder of the lock sees it.
    if (isExpired(datname) || datname.endsWith(hash)) await dropDatabase(admin, datname)
  }
  const name = `atrium_template_${currentHour()}_${hash}`
  await admin`CREATE DATABASE ${admin(name)} TEMPLATE template0`
  const sql = connect(urlOf(name), 1)
  try {
    await migrate(sql, MIGRATIONS_DIR)
  } finally {
    await sql.end({ timeout: 5 })
  }
  await admin`ALTER DATABASE ${admin(name)} IS_TEMPLATE true`
  return name
}

async function dropDatabase(admin: postgres.Sql, name: string): Promise<void> {
  if (TEMPLATE_NAME.test(name)) await admin`ALTER DATABASE ${admin(name)} IS_TEMPLATE false`
  await admin`DROP DATABASE IF EXISTS ${admin(name)} WITH (FORCE)`
}

function isExpired(name: string): boolean {
  const ownHour = OWN_NAME.exec(name)?.[1]
  if (ownHour !== undefined) return currentHour() - Number(ownHour) > 1
  const templateHour = TEMPLATE_NAME.exec(name)?.[1]
  if (templateHour === undefined) return false
  return currentHour() - Number(templateHour) > TEMPLATE_MAX_AGE_HOURS
}

function migrationsHash(): string {
  const hash = createHash('sha256')
  const files = readdirSync(MIGRATIONS_DIR).filter((name) => name.endsWith('.sql'))
  for (const name of files.toSorted()) {
    hash.update(`${name}\n`).update(readFileSync(join(MIGRATIONS_DIR, name)))
  }
  return hash.digest('hex').slice(0, 16)
}

async function asAdmin<T>(use: (admin: postgres.Sql) => Promise<T> | T): Promise<T> {
  const admin = connect(serverUrl(), 1)
  try {
    return await use(admin)
  } finally {
    await admin.end({ timeout: 5 })
  }
}

function connect(url: string, max: number): postgres.Sql {
  return postgres(url, { max, onnotice: () => undefined })
}

function urlOf(database: string): string {
  const url = new URL(serverUrl())
  url.pathname = `/${database}`
  return url.href
}

function serverUrl(): string {
  const url = process.env['ATRIUM_TEST_DATABASE_URL']
  if (url === undefined) {
    throw new Error('ATRIUM_TEST_DATABASE_URL is not set: run this under vitest or npm test')
  }
  return url
}

function currentHour(): number {
  return Math.floor(Date.now() / HOUR_MS)
}
