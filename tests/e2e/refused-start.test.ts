import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PROJECT_ROOT } from '../support/platform-process.ts'
import { runProcess } from '../support/run-process.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/test-database.ts'

let dataDir: string
let database: TestDatabase

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'atrium-refused-'))
  database = await createEmptyDatabase()
})
afterEach(async () => {
  await database.drop()
  await rm(dataDir, { recursive: true })
})

/** In production mode, complete but for what the test changes. */
function start(env: Record<string, string>) {
  return runProcess(process.execPath, [join(PROJECT_ROOT, 'apps/platform/src/main.ts')], {
    cwd: dataDir,
    env: {
      HOST: '127.0.0.1',
      PORT: '0',
      ADMIN_TOKEN: 'operators-only',
      ATRIUM_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
      ATRIUM_DATA_DIR: dataDir,
      DATABASE_URL: database.url,
      ...env,
    },
  })
}

describe('a start that cannot succeed ends with what to change', () => {
  it('without the settings that production needs', async () => {
    const run = await start({ ADMIN_TOKEN: '', DATABASE_URL: '', ATRIUM_ENCRYPTION_KEY: '' })
    expect(run.exitCode).toBe(2)
    expect(run.stderr).toMatch(/ADMIN_TOKEN: required[\s\S]*DATABASE_URL: required/)
  })

  it('on a database that was never migrated', async () => {
    const run = await start({})
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toMatch(/the database lacks 0001_\w+\.sql.*npm run db:migrate/)
  })

  it('with a wrong database name or nobody at the address, and says the password nowhere', async () => {
    const wrongName = new URL(database.url)
    wrongName.pathname = '/atrium_nobody_made_this'
    const nobody = new URL('postgres://u:pass-in-url@127.0.0.1:1/x')
    for (const url of [wrongName, nobody]) {
      const run = await start({ DATABASE_URL: url.href })
      expect(run.exitCode).toBe(1)
      expect(run.stderr).toContain(`the database at ${url.host}${url.pathname} cannot be used: `)
      // A database of the user's may want none, and the empty one stands everywhere.
      const password = url.password || 'pass-in-url'
      expect(`${run.stdout}${run.stderr}`).not.toContain(password)
    }
  })

  it('in development, in words on the terminal and with all the rest in the log', async () => {
    const { host, pathname } = new URL('postgres://u:p@127.0.0.1:1/x')
    const run = await start({
      ATRIUM_MODE: 'development',
      DATABASE_URL: 'postgres://u:p@127.0.0.1:1/x',
    })
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toMatch(
      new RegExp(
        `^atrium could not start: the database at ${host}${pathname} cannot be used: .*\n$`,
      ),
    )
    const log = await readFile(join(dataDir, 'logs/platform.log'), 'utf8')
    expect(log).toContain('platform.start_failed')
  })

  it('on a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const run = await start({ PORT: String(port), MIGRATE_ON_START: '1' })
    other.close()
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain(`127.0.0.1, port ${port} is taken`)
  })
})
