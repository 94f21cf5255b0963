/** @module The process: environment, signals, exit (H3). Everything else is wired in `deps.ts`. */

import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ListeningServer, listen } from '@atrium/hono-kit/server'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { ConfigError } from '@atrium/http-kit/config-error'
import pino, { type Logger } from 'pino'
import { createApp } from './app.ts'
import { createBackground } from './background.ts'
import type { Config } from './config.ts'
import { abandonIfSilent } from './db/abandon-if-silent.ts'
import { type DatabaseClient, openDatabase } from './db/client.ts'
import { serializeError } from './db/db-error.ts'
import { startEmbeddedPostgres } from './db/embedded-postgres.ts'
import { migrate, requireMigrated } from './db/migrate.ts'
import { type AppDeps, createDeps } from './deps.ts'
import { keyringOf } from './domain/secret-envelope.ts'
import { loadOrCreateEncryptionKey } from './encryption-key-file.ts'
import { loadConfig, type TenantReport } from './load-config.ts'
import { createProvisioner } from './provisioners/create-provisioner.ts'
import { describeStart } from './start-banner.ts'
import { withAddress, withDatabase } from './start-failure.ts'

const PROJECT_ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
const MIGRATIONS_DIR = join(PROJECT_ROOT, 'migrations')
const RUNTIME_ENTRY = join(PROJECT_ROOT, 'apps/workspace-runtime/src/main.ts')
/** All of the checkout that a runtime reads. */
const RUNTIME_CODE = ['apps/workspace-runtime', 'packages', 'node_modules'] as const
const DRAIN_MS = 10_000

/** One request to stop may arrive as several signals: npm repeats the terminal's, the kernel its own. */
const SAME_SIGNAL_MS = 500

/** What has to be undone at the end, newest first. */
type Undo = { readonly phase: string; readonly run: () => Promise<void> }

type Start = {
  readonly config: Config
  readonly log: Logger
  readonly undo: Undo[]
  readonly shutdown: AbortSignal
  /** Ends the platform: without a database it can do nothing any more. */
  readonly onDatabaseLost: (reason: string) => void
}

async function start({ config, log, undo, shutdown, onDatabaseLost }: Start) {
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 })
  const databaseUrl = await databaseUrlOf(config, { log, undo, shutdown, onDatabaseLost })
  const database = openPool(databaseUrl, { config, log, undo, shutdown })
  await withDatabase(databaseUrl, () => prepareSchema(config, database))
  const encryptionKey = config.encryptionKey ?? (await loadOrCreateEncryptionKey(config.dataDir))
  let listening: ListeningServer | undefined
  let confinement = ''
  const deps = createDeps({
    config,
    log,
    clock: systemClock,
    ids: systemIds,
    database,
    keyring: keyringOf(encryptionKey, config.previousEncryptionKeys),
    provisioner: await createProvisioner(config, {
      ...localBoxes(config),
      log,
      onConfinement: (words) => {
        confinement = words
      },
    }),
    ownUrl: () => ownUrl(config, listening),
    isShuttingDown: () => shutdown.aborted,
  })
  undo.push({ phase: 'write the audit trail', run: () => deps.refusedUses.stop() })
  undo.push({
    phase: 'close the clients',
    run: async () => {
      // First: who was let go by its caller would be waited for as long as an agent may take.
      await deps.agentClient.close()
      await Promise.all([deps.tracker.drain(), deps.beats.drain(), deps.taskIndex.drain()])
      await Promise.all([
        deps.trustedClient.close(),
        deps.guardedClient.close(),
        deps.shellctl.close(),
        deps.sessionAuthority?.close(),
      ])
    },
  })
  const server = await withAddress(config.listen, () => listen(createApp(deps).app, config.listen))
  listening = server
  // Workspaces end before the server does: their last beats still find somebody.
  undo.push({ phase: 'drain requests', run: () => server.close(DRAIN_MS) })
  // A stream has no end of its own, so a drain would wait for it in vain.
  undo.push({ phase: 'end event streams', run: () => endStreams(deps) })
  undo.push({ phase: 'stop workspaces', run: () => deps.lifecycle.stop() })
  const background = createBackground(deps)
  undo.push({ phase: 'stop the reconcilers', run: () => background.stop() })
  await deps.lifecycle.start()
  background.start()
  return { url: ownUrl(config, listening), confinement }
}

/** Of the platform's own events, and of agents. */
async function endStreams(deps: Pick<AppDeps, 'events' | 'streams'>): Promise<void> {
  await Promise.all([deps.events.stop(), deps.streams.stop()])
}

/** What the back-end of this machine starts, and what its boxes see of it. */
function localBoxes(config: Config) {
  return {
    clock: systemClock,
    ids: systemIds,
    runtimeEntry: RUNTIME_ENTRY,
    nodePath: process.execPath,
    inheritedEnv: config.inheritedEnv,
    sandbox: {
      mode: config.sandbox.mode,
      codeRoot: PROJECT_ROOT,
      codeFolders: RUNTIME_CODE,
      readable: [...config.sandbox.readable, join(PROJECT_ROOT, 'examples')],
    },
  }
}

async function databaseUrlOf(
  config: Config,
  { log, undo, shutdown, onDatabaseLost }: Omit<Start, 'config'>,
): Promise<string> {
  if (config.database.url !== undefined) return config.database.url.reveal()
  const embedded = await startEmbeddedPostgres({
    dataDir: join(config.dataDir, 'postgres'),
    log,
    signal: shutdown,
    onLost: onDatabaseLost,
  })
  undo.push({ phase: 'stop the embedded database', run: () => embedded.stop() })
  return embedded.url
}

/** Closed at the end, which comes in bounded time even when the database hangs. */
function openPool(
  url: string,
  { config, log, undo, shutdown }: Omit<Start, 'onDatabaseLost'>,
): DatabaseClient {
  const database = openDatabase({ url, maxConnections: config.database.maxConnections })
  const closed = new AbortController()
  shutdown.addEventListener('abort', () => {
    void abandonIfSilent({ database, clock: systemClock, log }, closed.signal)
  })
  undo.push({
    phase: 'close the pool',
    run: async () => {
      await database.close()
      closed.abort()
    },
  })
  return database
}

async function prepareSchema(config: Config, database: DatabaseClient): Promise<void> {
  if (config.database.migrateOnStart) await migrate(database.sql, MIGRATIONS_DIR)
  else await requireMigrated(database.sql, MIGRATIONS_DIR)
}

function ownUrl(config: Config, listening: ListeningServer | undefined): string {
  if (listening === undefined) throw new Error('the platform does not listen yet')
  const { host } = config.listen
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${listening.port}`
}

type Loggers = {
  readonly log: Logger
  /** For an end that the terminal is told of in words as well. */
  readonly lastWords: Logger
}

/** Development keeps the terminal for people: everything goes to a file, warnings to stderr too. */
function createLoggers(config: Config): Loggers {
  const options: pino.LoggerOptions = {
    level: config.logLevel,
    base: { app: 'platform' },
    redact: ['*.authorization', '*.auth_token', '*.platform_inbound_secret'],
    serializers: { err: serializeError },
  }
  // Written at once: an asynchronous one never ends when the reader of its pipe went away first.
  if (!config.isDevelopment) {
    const log = pino(options, pino.destination({ fd: 1, sync: true }))
    return { log, lastWords: log }
  }
  const file = pino.destination({ dest: logFileOf(config), mkdir: true, sync: true })
  const streams = pino.multistream([
    { level: 'trace', stream: file },
    { level: 'warn', stream: process.stderr },
  ])
  return { log: pino(options, streams), lastWords: pino(options, file) }
}

function logFileOf(config: Config): string {
  return join(config.dataDir, 'logs', 'platform.log')
}

async function undoAll(undo: Undo[], log: Logger): Promise<boolean> {
  let isClean = true
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) {
    const startedAt = systemClock.now().getTime()
    try {
      await step.run()
      const durationMs = systemClock.now().getTime() - startedAt
      log.info({ phase: step.phase, duration_ms: durationMs }, 'shutdown.phase')
    } catch (error) {
      // The remaining phases still have to run: a child left behind is worse than an error here.
      isClean = false
      log.error({ err: error, phase: step.phase }, 'shutdown.phase_failed')
    }
  }
  return isClean
}

function tellTenant(tenant: TenantReport, log: Logger): void {
  switch (tenant.kind) {
    case 'none':
      return
    case 'applied':
      log.info({ names: tenant.names, ignored: tenant.ignored }, 'tenant_config.applied')
      return
    case 'unavailable':
      log.warn({ err: tenant.error }, 'tenant_config.unavailable')
      return
    case 'refused':
      log.warn({ reason: tenant.reason }, 'tenant_config.refused')
      return
  }
}

async function main(): Promise<void> {
  const { config, tenant } = await loadConfig(process.env)
  const { log, lastWords } = createLoggers(config)
  for (const notice of config.notices) log.warn({ notice }, 'config.questionable')
  tellTenant(tenant, log)
  const undo: Undo[] = []
  const shutdown = new AbortController()
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
  let askedAt = 0
  const onSignal = (): void => {
    const now = systemClock.now().getTime()
    // A second signal means: now.
    if (shutdown.signal.aborted && now - askedAt > SAME_SIGNAL_MS) process.exit(1)
    if (shutdown.signal.aborted) return
    askedAt = now
    shutdown.abort(new Error('signal received'))
    ask()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  // A terminal that was closed cannot be told anything; what it started still has to be stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
  const stateFile = join(config.dataDir, 'platform.json')
  let exitCode = 0
  const onDatabaseLost = (reason: string): void => {
    exitCode = 1
    lastWords.fatal({ reason }, 'platform.database_lost')
    process.stderr.write(`atrium ends: ${reason}\n`)
    shutdown.abort(new Error('the database is lost'))
    ask()
  }
  try {
    const { url, confinement } = await start({
      config,
      log,
      undo,
      shutdown: shutdown.signal,
      onDatabaseLost,
    })
    undo.push({ phase: 'remove the state file', run: () => rm(stateFile, { force: true }) })
    await writeState(stateFile, { url, pid: process.pid })
    log.info({ url }, 'platform.listening')
    process.stdout.write(describeStart(config, { url, logFile: logFileOf(config), confinement }))
    await asked
    if (config.isDevelopment) process.stdout.write('\nstopping workspaces and database ...\n')
  } catch (error) {
    // Who called the start off, or said why the database is lost, need not be told again.
    if (shutdown.signal.aborted) {
      log.info({ err: error }, 'platform.start_called_off')
    } else {
      exitCode = 1
      lastWords.fatal({ err: error }, 'platform.start_failed')
      process.stderr.write(`atrium could not start: ${messageOf(error)}\n`)
    }
  }
  if (!(await undoAll(undo, log))) exitCode = 1
  process.exit(exitCode)
}

/** Where the command line finds the platform; nobody may read half of it. */
async function writeState(
  stateFile: string,
  state: { readonly url: string; readonly pid: number },
): Promise<void> {
  const temporary = `${stateFile}.${state.pid}.tmp`
  await writeFile(temporary, `${JSON.stringify(state)}\n`, { mode: 0o600 })
  await rename(temporary, stateFile)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`atrium could not start: ${messageOf(error)}\n`)
  process.exit(error instanceof ConfigError ? 2 : 1)
}
