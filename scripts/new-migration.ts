/** @module `npm run db:new -- add_budget`: an empty migration with the next number. */
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { MigrationError, nextMigrationName } from '../apps/platform/src/db/migrate.ts'

async function main(args: readonly string[]): Promise<number> {
  const [title, dir = resolve(import.meta.dirname, '../migrations'), ...rest] = args
  if (title === undefined || rest.length > 0) {
    console.error('usage: npm run db:new -- NAME [FOLDER]   (NAME as in add_budget)')
    return 2
  }
  try {
    const path = join(dir, await nextMigrationName(dir, title))
    await writeFile(path, '-- What this changes, and why.\n', { flag: 'wx' })
    console.log(`wrote ${path}; npm run db:dump afterwards writes the schema it makes`)
    return 0
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error
    console.error(`db:new: ${error.message}`)
    return 2
  }
}

process.exitCode = await main(process.argv.slice(2))
