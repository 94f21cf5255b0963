/** @module The PostgreSQL server of a test run: the user's, or an embedded one made for it. */
import { join } from 'node:path'
import pino from 'pino'
import { startEmbeddedPostgres } from '../../apps/platform/src/db/embedded-postgres.ts'
import { recordSecret, runLogPath } from './secret-ledger.ts'
import { closeTestRun, openTestRun } from './test-run.ts'

const VARIABLES = ['ATRIUM_TEST_RUN_DIR', 'ATRIUM_TEST_DATABASE_URL'] as const

/**
 * Opens the run and its server unless an outer command has done so, and passes both on in the
 * environment. Returns what undoes it. `DATABASE_URL` names a server where we may create databases.
 */
export async function startTestCluster(): Promise<() => Promise<void>> {
  if (process.env['ATRIUM_TEST_DATABASE_URL'] !== undefined) return () => Promise.resolve()
  const runDir = openTestRun()
  process.env['ATRIUM_TEST_RUN_DIR'] = runDir
  const server = await startServer(runDir)
  process.env['ATRIUM_TEST_DATABASE_URL'] = server.url
  return async () => {
    await server.stop()
    for (const name of VARIABLES) delete process.env[name]
    closeTestRun(runDir)
  }
}

async function startServer(runDir: string): Promise<{ url: string; stop(): Promise<void> }> {
  const given = process.env['DATABASE_URL']
  if (given !== undefined && given !== '') return { url: given, stop: () => Promise.resolve() }
  const server = await startEmbeddedPostgres({
    dataDir: join(runDir, 'postgres'),
    log: pino(pino.destination({ dest: runLogPath('embedded-postgres'), sync: true })),
    logFile: runLogPath('postgres-server'),
    isDurable: false,
  })
  // The password of a server that was given to us may be any word, found everywhere.
  recordSecret(new URL(server.url).password)
  return server
}
