/** @module `npm run db:migrate`: brings the database of DATABASE_URL to this release. */
import { resolve } from 'node:path'
import { openDatabase } from '../apps/platform/src/db/client.ts'
import { MigrationError, migrate } from '../apps/platform/src/db/migrate.ts'

const MIGRATIONS_DIR = resolve(import.meta.dirname, '../migrations')

async function main(): Promise<number> {
  const url = process.env['DATABASE_URL']
  if (url === undefined || url === '') {
    console.error('db:migrate: set DATABASE_URL to the database to migrate')
    console.error('  hint: `npm start` migrates its embedded database by itself')
    return 2
  }
  const database = openDatabase({ url, maxConnections: 1 })
  try {
    const applied = await migrate(database.sql, MIGRATIONS_DIR)
    for (const name of applied) console.log(`applied ${name}`)
    console.log(applied.length === 0 ? 'nothing to do: the database is up to date' : 'done')
    return 0
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const code = 'code' in error ? ` (${String(error.code)})` : ''
    console.error(`db:migrate: ${error.message}${error instanceof MigrationError ? '' : code}`)
    return 1
  } finally {
    await database.close()
  }
}

process.exitCode = await main()
