/** @module The database that comes along: a real PostgreSQL server in our data folder (ADR-0001). */
import { mkdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { type Clock, systemClock, systemIds } from '@atrium/http-kit/clock'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import type { Secret } from '@atrium/http-kit/secret'
import type { Logger } from 'pino'
import postgres from 'postgres'
import { postgresBinaries } from './embedded-postgres/binaries.ts'
import { CLUSTER_USER, prepareCluster } from './embedded-postgres/cluster.ts'
import { type FolderLock, lockFolder } from './embedded-postgres/folder-lock.ts'
import { chooseLauncher, type Launcher, launchersFor } from './embedded-postgres/launcher.ts'
import { stopOrphanServers } from './embedded-postgres/orphan-servers.ts'
import { type ServerProcess, spawnServer } from './embedded-postgres/server-process.ts'
import { WatchedServer } from './embedded-postgres/watched-server.ts'

export type EmbeddedPostgres = {
  /** Contains the password: reveal it to the driver only. */
  readonly url: string
  /** Ends the server in bounded time and frees the folder; may be called again. */
  stop(): Promise<void>
}

export type EmbeddedPostgresOptions = {
  /** Its own folder: the cluster, its password, its lock and its log live here. */
  readonly dataDir: string
  readonly log: Logger
  readonly signal?: AbortSignal
  /** Default: `server.log` in `dataDir`. */
  readonly logFile?: string
  /** Default true. false gives up crash safety for speed, for databases nobody will miss. */
  readonly isDurable?: boolean
  /** The ways to run the server, best first; default: those of this machine. */
  readonly launchers?: readonly Launcher[]
  readonly clock?: Clock
  /** Called when the server has died too often to be started again; the reason is for a person. */
  readonly onLost?: (reason: string) => void
}

/** Recovery after a crash replays the log first, which may take a while on a large database. */
const READY_WITHIN_MS = 120_000
const READY_POLL_MS = 25
const MAX_PORT_ATTEMPTS = 5
const MAX_LOG_BYTES = 10 * 1024 * 1024

/**
 * Starts the embedded server on a free loopback port and creates what is missing. Whatever an
 * earlier crash left on the folder is stopped or removed first. Throws when another live process
 * uses the folder, when this machine cannot run the server, or when `signal` aborts. A server that
 * dies later is started again at the same address (ADR-0016).
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const uniqueName = systemIds.hex(6)
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 })
  const lock = await lockFolder(options.dataDir, uniqueName)
  try {
    return await startLocked(options, lock, uniqueName)
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function startLocked(
  options: EmbeddedPostgresOptions,
  lock: FolderLock,
  uniqueName: string,
): Promise<EmbeddedPostgres> {
  const { dataDir, log, signal, isDurable = true, clock = systemClock } = options
  const pgdata = join(dataDir, 'data')
  const logFile = options.logFile ?? join(dataDir, 'server.log')
  await stopOrphanServers(pgdata, log, clock)
  const binaries = await postgresBinaries()
  const launchers = options.launchers ?? (await launchersFor(process.getuid?.() ?? -1))
  const launcher = await chooseLauncher(launchers, binaries.postgres, dataDir)
  const paths = { pgdata, passwordFile: join(dataDir, 'password') }
  const password = await prepareCluster(paths, { binaries, launcher, isDurable, uniqueName })
  const start = async (port: number | undefined, called: AbortSignal | undefined) => {
    await rotateLog(logFile)
    const facts = { postgres: binaries.postgres, launcher, pgdata, logFile, isDurable, clock, port }
    return startServer(facts, password, called)
  }
  const first = await start(undefined, signal)
  log.info({ port: first.port, pid: first.pid, launcher: launcher.name }, 'database.started')
  const watched = new WatchedServer(
    {
      ...{ log, clock, logFile },
      restart: async (port, called) => {
        await stopOrphanServers(pgdata, log, clock)
        return start(port, called)
      },
      onLost: options.onLost ?? (() => undefined),
    },
    first,
  )
  return {
    url: urlOf(first.port, password, CLUSTER_USER),
    stop: async () => {
      await watched.stop()
      await lock.release()
    },
  }
}

/**
 * Starts until the server has the port that was free a moment ago, or once on the port it is known
 * by, and waits until it answers.
 */
async function startServer(
  options: Parameters<typeof spawnServer>[0],
  password: Secret,
  signal: AbortSignal | undefined,
): Promise<ServerProcess> {
  const maxAttempts = options.port === undefined ? MAX_PORT_ATTEMPTS : 1
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted()
    const server = await spawnServer(options)
    try {
      await becomeReady(server, password, { clock: options.clock, signal })
      return server
    } catch (error) {
      await server.stop()
      if (!(error instanceof ServerEnded) || attempt === maxAttempts) {
        const reason = error instanceof Error ? error.message : String(error)
        throw new Error(`the embedded database did not start: ${reason} (${options.logFile})`, {
          cause: error,
        })
      }
    }
  }
}

class ServerEnded extends Error {}

/** Asks until the server answers, and creates our database at the first start. */
async function becomeReady(
  server: ServerProcess,
  password: Secret,
  wait: { readonly clock: Clock; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const sql = postgres(urlOf(server.port, password, 'postgres'), {
    max: 1,
    connect_timeout: 5,
    backoff: () => 0,
    onnotice: () => undefined,
  })
  const deadline = wait.clock.now().getTime() + READY_WITHIN_MS
  try {
    for (;;) {
      wait.signal?.throwIfAborted()
      const end = server.ended()
      if (end !== undefined) throw new ServerEnded(`the server ended with ${end}`)
      try {
        await ensureDatabase(sql)
        return
      } catch (error) {
        if (!isNotReadyYet(error) || wait.clock.now().getTime() > deadline) throw error
        await wait.clock.sleep(READY_POLL_MS, wait.signal)
      }
    }
  } finally {
    await sql.end({ timeout: 1 })
  }
}

async function ensureDatabase(sql: postgres.Sql): Promise<void> {
  const found = await sql`SELECT 1 FROM pg_database WHERE datname = ${CLUSTER_USER}`
  if (found.length === 0) await sql`CREATE DATABASE ${sql(CLUSTER_USER)}`
}

/** Not listening yet, or 57P03: starting up or still recovering. */
function isNotReadyYet(error: unknown): boolean {
  return ['ECONNREFUSED', 'ECONNRESET', 'CONNECTION_CLOSED', '57P03'].some((code) =>
    hasErrorCode(error, code),
  )
}

function urlOf(port: number, password: Secret, database: string): string {
  return `postgres://${CLUSTER_USER}:${password.reveal()}@127.0.0.1:${port}/${database}`
}

async function rotateLog(path: string): Promise<void> {
  try {
    if ((await stat(path)).size > MAX_LOG_BYTES) await rename(path, `${path}.1`)
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) throw error
  }
}
