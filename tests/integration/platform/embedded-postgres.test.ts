import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Clock, systemClock } from '@atrium/http-kit/clock'
import pino from 'pino'
import postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { postgresBinaries } from '../../../apps/platform/src/db/embedded-postgres/binaries.ts'
import { launchersFor } from '../../../apps/platform/src/db/embedded-postgres/launcher.ts'
import {
  processesIn,
  processStartTicks,
} from '../../../apps/platform/src/db/embedded-postgres/process-table.ts'
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from '../../../apps/platform/src/db/embedded-postgres.ts'
import { eventually } from '../../support/eventually.ts'
import { recordSecret, runLogPath } from '../../support/secret-ledger.ts'

const HOLDER = resolve(import.meta.dirname, '../../support/embedded-postgres-holder.ts')
const isRoot = process.getuid?.() === 0
const run = promisify(execFile)

let home: string
let dataDir: string
let started: EmbeddedPostgres[]
let children: ChildProcess[]
let logged: string[]

beforeEach(async () => {
  // 0700, as below /root: whoever runs the server has to get through.
  home = await mkdtemp(join(tmpdir(), 'atrium-embedded-'))
  dataDir = join(home, 'postgres')
  started = []
  children = []
  logged = []
})
afterEach(async () => {
  for (const server of started) await server.stop()
  for (const child of children) child.kill('SIGKILL')
  await eventually(async () => (await serversIn(dataDir)).length === 0)
  await rm(home, { recursive: true })
})

const pgdata = () => join(dataDir, 'data')
const serversIn = (folder: string) => processesIn(join(folder, 'data'), 'postgres')

async function start(more: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const log = pino({}, { write: (line: string) => logged.push(line) })
  const server = await startEmbeddedPostgres({
    dataDir,
    log,
    logFile: runLogPath('embedded-postgres-test'),
    isDurable: false,
    ...more,
  })
  started.push(server)
  recordSecret(new URL(server.url).password)
  return server
}

async function query<T>(url: string, use: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined })
  try {
    return await use(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

const writeRow = (url: string) =>
  query(url, async (sql) => {
    await sql`CREATE TABLE IF NOT EXISTS kept (a int)`
    await sql`INSERT INTO kept VALUES (1)`
  })
const countRows = (url: string) => query(url, async (sql) => (await sql`SELECT * FROM kept`).length)

/** Another process that holds the folder; resolves when its server answers. */
async function startHolder(): Promise<ChildProcess> {
  const holder = spawn(process.execPath, [HOLDER, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(holder)
  await once(holder.stdout, 'data')
  return holder
}

/** A postmaster nobody looks after, as before a kernel tells it that its parent is gone. */
async function startOrphan(): Promise<ChildProcess> {
  const { postgres: binary } = await postgresBinaries()
  const plain = (await launchersFor(process.getuid?.() ?? -1)).find(
    ({ prefix }) => !prefix.includes('setpriv'),
  )
  const [command = '', ...args] = [...(plain?.prefix ?? []), binary, '-D', pgdata()]
  const orphan = spawn(command, [...args, '-p', '1', '-c', 'listen_addresses=', '-k', home], {
    detached: true,
    stdio: 'ignore',
  })
  children.push(orphan)
  await eventually(async () => {
    const pidFile = await readFile(join(pgdata(), 'postmaster.pid'), 'utf8').catch(() => '')
    return pidFile.includes('ready')
  })
  return orphan
}

describe('startEmbeddedPostgres', () => {
  describe('serves', () => {
    it('a PostgreSQL in UTF-8 that sorts by code point', async () => {
      const { url } = await start()
      const rows = await query(
        url,
        (sql) => sql`
          SELECT current_setting('server_encoding') AS encoding,
                 current_setting('server_version_num')::int / 10000 AS version,
                 array(SELECT x FROM unnest(ARRAY['a','B','é']) x ORDER BY x) AS sorted`,
      )
      expect(rows[0]).toEqual({ encoding: 'UTF8', version: 18, sorted: ['B', 'a', 'é'] })
    })

    it('the data of the start before', async () => {
      const first = await start()
      await writeRow(first.url)
      await first.stop()
      expect(await countRows((await start()).url)).toBe(1)
    })

    it('with full durability unless told otherwise', async () => {
      const { url } = await start({ isDurable: true })
      const rows = await query(url, (sql) => sql`SELECT current_setting('fsync') AS fsync`)
      expect(rows[0]?.['fsync']).toBe('on')
    })

    it.runIf(isRoot)('as another user when user namespaces are not allowed', async () => {
      const launchers = (await launchersFor(0)).filter(({ name }) => name === 'other user')
      await chmod(home, 0o700)
      const other = await start({ launchers })
      await writeRow(other.url)
      expect((await stat(pgdata())).uid).not.toBe(0)
      await other.stop()
      // And back: the files follow whoever runs the server.
      expect(await countRows((await start()).url)).toBe(1)
      expect((await stat(pgdata())).uid).toBe(0)
    })
  })

  describe('protects', () => {
    it('the password: random, 0600 on disk, in no command line and no log', async () => {
      const { url } = await start()
      const { password } = new URL(url)
      expect(password).toMatch(/^[0-9a-f]{64}$/)
      expect((await stat(join(dataDir, 'password'))).mode & 0o777).toBe(0o600)
      const [pid] = await serversIn(dataDir)
      expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(password)
      expect(await readFile(`/proc/${pid}/environ`, 'utf8')).not.toContain(password)
      expect(logged.join('')).not.toContain(password)
    })

    it('the door: no login without the password', async () => {
      const url = new URL((await start()).url)
      url.password = 'wrong'
      await expect(query(url.href, (sql) => sql`SELECT 1`)).rejects.toMatchObject({ code: '28P01' })
    })

    it('the network: loopback only, and no socket in the file system', async () => {
      const { port } = new URL((await start()).url)
      const hex = Number(port).toString(16).toUpperCase().padStart(4, '0')
      // The kernel's table is read in pieces: on a busy machine a line is missed, or comes twice.
      const ours = await eventually(async () => {
        const { stdout } = await run('cat', ['/proc/net/tcp', '/proc/net/tcp6'])
        const listening = stdout.split('\n').filter((line) => / 0A /.test(line))
        const found = listening.filter((line) => line.includes(`:${hex} `))
        return found.length > 0 && new Set(found.map((line) => line.trim().split(/\s+/)[1]))
      })
      expect([...ours]).toEqual([`0100007F:${hex}`])
      expect(Object.keys(networkInterfaces())).toContain('lo')
      const [pid] = await serversIn(dataDir)
      const { stdout: sockets } = await run('cat', ['/proc/net/unix'])
      expect(sockets).not.toContain(`.s.PGSQL.${port}`)
      expect(pid).toBeDefined()
    })

    it('the data from a second platform on the same folder', async () => {
      const { url } = await start()
      await expect(start()).rejects.toThrow(
        `the embedded database is in use by process ${process.pid}`,
      )
      await writeRow(url)
    })

    it('the server from the Ctrl-C of our terminal', async () => {
      await start()
      const [pid] = await serversIn(dataDir)
      const text = await readFile(`/proc/${pid}/stat`, 'utf8')
      const [, , group, session] = text.slice(text.lastIndexOf(')') + 2).split(' ')
      expect([Number(group), Number(session)]).toEqual([Number(group), Number(group)])
      expect(Number(group)).not.toBe(process.pid)
    })
  })

  describe('ends', () => {
    it('with every process gone and the folder free, and may be told twice', async () => {
      const server = await start()
      await Promise.all([server.stop(), server.stop()])
      expect(await serversIn(dataDir)).toEqual([])
      expect(await readdir(dataDir)).not.toContain('lock')
      await start()
    })

    it('in bounded time while a query runs', async () => {
      const server = await start()
      const sql = postgres(server.url, { max: 1, onnotice: () => undefined })
      const sleeping = sql`SELECT pg_sleep(60)`.catch((error: unknown) => error)
      await eventually(async () => {
        const rows = await query(
          server.url,
          (other) => other`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'`,
        )
        return rows.length === 1
      })
      const startedAt = performance.now()
      await server.stop()
      // Below the patience of a stop that waits for its clients.
      expect(performance.now() - startedAt).toBeLessThan(8_000)
      expect(await sleeping).toBeInstanceOf(Error)
      expect(await serversIn(dataDir)).toEqual([])
      await sql.end({ timeout: 1 })
    })

    it('with its parent, when that one is killed', async () => {
      const holder = await startHolder()
      expect(await serversIn(dataDir)).not.toEqual([])
      holder.kill('SIGKILL')
      await eventually(async () => (await serversIn(dataDir)).length === 0)
    })

    it('when the start is called off', async () => {
      const asked = AbortSignal.timeout(1)
      await once(asked, 'abort')
      await expect(start({ signal: asked })).rejects.toThrow(/aborted|timeout/i)
      expect(await serversIn(dataDir)).toEqual([])
      await start()
    })
  })

  describe('comes back', () => {
    const killServer = async (): Promise<void> => {
      const pid = Number.parseInt(await readFile(join(pgdata(), 'postmaster.pid'), 'utf8'), 10)
      process.kill(pid, 'SIGKILL')
    }
    const isLogged = (event: string) => logged.some((line) => line.includes(event))

    it('at the same address with its data when the server dies, and says so', async () => {
      const { url } = await start({ isDurable: true })
      await writeRow(url)
      await killServer()
      await eventually(() => isLogged('database.ended'))
      await eventually(() => isLogged('database.restarted'), 60_000)
      expect(await countRows(url)).toBe(1)
    }, 90_000)

    it('no more when it keeps dying, and says where to look', async () => {
      const lost: string[] = []
      // The delays between restarts add up to 15 s; here only their number matters.
      const hasty: Clock = {
        ...systemClock,
        sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 5), signal),
      }
      await start({ clock: hasty, onLost: (reason) => lost.push(reason) })
      await rename(join(pgdata(), 'global/pg_control'), join(pgdata(), 'global/away'))
      await killServer()
      const reason = await eventually(() => lost[0], 60_000)
      expect(reason).toMatch(/ended 6 times within 10 minutes.*see .*embedded-postgres-test/)
      expect(logged.filter((line) => line.includes('database.restart_failed'))).toHaveLength(5)
    }, 90_000)

    it('no more when it is stopped meanwhile', async () => {
      const server = await start()
      await killServer()
      await eventually(() => isLogged('database.ended'))
      await server.stop()
      expect(await serversIn(dataDir)).toEqual([])
      expect(await readdir(dataDir)).not.toContain('lock')
    })
  })

  describe('starts again after', () => {
    it('a kill -9 of the platform, at once', async () => {
      const holder = await startHolder()
      holder.kill('SIGKILL')
      await once(holder, 'exit')
      await writeRow((await start()).url)
    })

    it('a crash that left the server running', async () => {
      const first = await start()
      await writeRow(first.url)
      await first.stop()
      const orphan = await startOrphan()
      expect(await countRows((await start()).url)).toBe(1)
      expect(orphan.exitCode ?? orphan.signalCode).not.toBeNull()
      expect(logged.join('')).toContain('database.orphan_found')
    })

    it('a crash of the server that left its children', async () => {
      const first = await start()
      await first.stop()
      await startOrphan()
      const pid = Number.parseInt(await readFile(join(pgdata(), 'postmaster.pid'), 'utf8'), 10)
      const backend = (await serversIn(dataDir)).find((other) => other !== pid)
      if (backend === undefined) throw new Error('no background process')
      process.kill(backend, 'SIGSTOP')
      process.kill(pid, 'SIGKILL')
      await start()
      expect(await processStartTicks(backend)).toBeUndefined()
    }, 60_000)

    it('a crash whose pid belongs to somebody else by now', async () => {
      const first = await start()
      await first.stop()
      const pidFile = `${process.pid}\n${pgdata()}\n1\n1\n\n127.0.0.1\n0\nready   \n`
      await writeFile(join(pgdata(), 'postmaster.pid'), pidFile, { mode: 0o600 })
      await start()
    })

    it('a lock whose process is gone, or whose pid was given to another', async () => {
      await mkdir(dataDir, { mode: 0o700 })
      await writeFile(join(dataDir, 'lock'), `${process.pid} 1 another-boot\n`)
      await start()
    })

    it('an initdb that was cut short', async () => {
      await mkdir(join(dataDir, 'data.init-0badc0de', 'base'), { recursive: true })
      await mkdir(pgdata())
      await writeFile(join(dataDir, 'password.0badc0de'), '')
      await writeRow((await start()).url)
      expect(await readdir(dataDir)).not.toContain('data.init-0badc0de')
    })
  })

  describe('refuses, and says what to do', () => {
    it('a folder that holds something else', async () => {
      await mkdir(pgdata(), { recursive: true })
      await writeFile(join(pgdata(), 'letter.txt'), 'dear diary')
      await expect(start()).rejects.toThrow('not a PostgreSQL data folder and not empty')
      expect(await readdir(pgdata())).toEqual(['letter.txt'])
    })

    it('a cluster of another version', async () => {
      await (await start()).stop()
      await writeFile(join(pgdata(), 'PG_VERSION'), '17\n')
      await expect(start()).rejects.toThrow('was made by PostgreSQL 17')
    })

    it('a cluster without its password', async () => {
      await (await start()).stop()
      await rm(join(dataDir, 'password'))
      await expect(start()).rejects.toThrow('restore it from a backup')
    })

    it('a machine where no way of running it works', async () => {
      const launchers = [
        { name: 'user namespace', prefix: ['/nonexistent/unshare'], user: undefined },
      ] as const
      await expect(start({ launchers })).rejects.toThrow(/ENOENT[\s\S]*set DATABASE_URL/)
    })
  })
})
