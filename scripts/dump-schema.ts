/** @module `npm run db:dump`: writes migrations/schema.sql, what all migrations together make. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import pino from 'pino'
import { openDatabase } from '../apps/platform/src/db/client.ts'
import { dumpSchema } from '../apps/platform/src/db/dump-schema.ts'
import { startEmbeddedPostgres } from '../apps/platform/src/db/embedded-postgres.ts'
import { migrate } from '../apps/platform/src/db/migrate.ts'

const MIGRATIONS_DIR = resolve(import.meta.dirname, '../migrations')

/** On a fresh server of its own, so that nothing but the migrations is in the dump. */
async function dumpFresh(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'atrium-dump-'))
  const log = pino({ level: 'error' })
  try {
    const server = await startEmbeddedPostgres({ dataDir, log, isDurable: false })
    const database = openDatabase({ url: server.url, maxConnections: 1 })
    try {
      await migrate(database.sql, MIGRATIONS_DIR)
      return await dumpSchema(database.sql)
    } finally {
      await database.close()
      await server.stop()
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

const target = join(MIGRATIONS_DIR, 'schema.sql')
await writeFile(
  target,
  `-- What the migrations make together. Written by \`npm run db:dump\`; do not edit.\n\n${await dumpFresh()}`,
)
console.log(`wrote ${target}`)
