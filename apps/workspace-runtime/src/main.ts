/** @module The process: environment, signals, exit (H3). Everything else is wired below it. */

import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { format } from 'node:util'
import { type ListeningServer, listen } from '@atrium/hono-kit/server'
import { credentialId } from '@atrium/http-kit/bearer'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { ConfigError } from '@atrium/http-kit/config-error'
import { AUTH_TOKEN_FILE, INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import type { RuntimeReadyMessage } from '@atrium/runtime-contract/environment'
import pino, { type Logger } from 'pino'
import { renderAgentCard } from './agent/agent-card.ts'
import { type AgentPlane, createAgentPlane } from './agent-plane.ts'
import { createApp } from './app.ts'
import { type Config, parseConfig } from './config.ts'
import { type FilePlane, openFilePlane } from './files/file-plane.ts'
import { storeOpenedFile } from './files/store-opened-file.ts'
import { HeartbeatJob } from './registration/heartbeat.job.ts'
import { addressTowards } from './registration/own-address.ts'
import { PlatformClient } from './registration/platform-client.ts'
import { Presence } from './registration/presence.ts'
import { registerWithPlatform } from './registration/register-with-platform.ts'
import { CredentialFile } from './secrets/credential-file.ts'
import {
  isNewerThan,
  keepHandedCredentials,
  takeHandedCredentials,
} from './secrets/handed-credentials.ts'
import { keepHandedFiles, takeHandedFiles } from './secrets/handed-files.ts'
import { InboundSecretStore } from './secrets/inbound-secret-store.ts'

/** Below the 10 s after which a provisioner ends what does not end by itself. */
const DRAIN_MS = 8_000
const START_PATIENCE_MS = 10_000
/** Nobody is left to answer: only what was started has to go, and soon. */
const ORPHAN_DRAIN_MS = 1_000
const MAX_CONSOLE_CHARACTERS = 1_000

type Resources = {
  readonly config: Config
  readonly log: Logger
  readonly authToken: CredentialFile
  readonly inboundSecret: InboundSecretStore
  readonly files: FilePlane
  readonly ownUrl: () => string
}

/** Why the process ends, and how long what is in flight may take. */
type Ending = { readonly reason: string; readonly drainMs: number }

function createAgent(resources: Resources, onWorkChange: () => void): AgentPlane {
  const { config, log, files, ownUrl, authToken, inboundSecret } = resources
  return createAgentPlane({
    settings: config.agent,
    roots: config.roots,
    configsDir: config.configsDir,
    isFsyncOn: config.uploads.fsync,
    log,
    clock: systemClock,
    ids: systemIds,
    openFile: (path) => files.roots.open(path),
    publish: (source, signal) =>
      storeOpenedFile(files.uploads, source, {
        description: { name: source.name, mimeType: source.mimeType },
        signal,
      }),
    ownEnvironment: { ...process.env },
    platformUrl: config.platformUrl,
    nodePath: process.execPath,
    credentials: () =>
      [authToken.current(), ...inboundSecret.accepted()].filter((value) => value !== undefined),
    ownUrl,
    startPatienceMs: START_PATIENCE_MS,
    onWorkChange,
  })
}

function createPresence(
  resources: Resources,
  client: PlatformClient,
  work: () => AgentPlane,
): Presence {
  const { config, log, authToken, inboundSecret, files, ownUrl } = resources
  const heartbeat = new HeartbeatJob({
    client,
    clock: systemClock,
    log,
    workspaceId: config.workspaceId,
    generation: config.generation,
    inboundSecret,
    work: {
      report: () => work().meter.report(),
      markReported: (report) => work().meter.markReported(report),
    },
    uploadSweep: files.sweep,
  })
  const registration = async () => ({
    id: config.workspaceId,
    url: await ownUrlFor(config, ownUrl()),
    agent_card: renderAgentCard(work().card(), 'hybrid'),
    ...(config.deliveryMode === undefined ? {} : { delivery_mode: config.deliveryMode }),
    ...(config.generation === undefined ? {} : { generation: config.generation }),
    ...heldSecret(inboundSecret.current()),
  })
  return new Presence({
    clock: systemClock,
    log,
    heartbeat,
    register: (signal) =>
      registerWithPlatform(
        {
          client,
          clock: systemClock,
          log,
          random: Math.random,
          authToken,
          inboundSecret,
          registration,
        },
        signal,
      ),
  })
}

function heldSecret(secret: string | undefined): { readonly inbound_secret_id?: string } {
  return secret === undefined ? {} : { inbound_secret_id: credentialId(secret) }
}

function credentialFile(config: Config, name: string): CredentialFile {
  return new CredentialFile(join(config.configsDir, name), { clock: systemClock, ids: systemIds })
}

/** Starts everything and resolves with what ends it. */
async function start(config: Config, log: Logger): Promise<(drainMs: number) => Promise<void>> {
  let listening: ListeningServer | undefined
  const files = openFilePlane({
    directories: config.roots,
    credentialsDirectory: config.configsDir,
    limits: config.uploads,
    archiveLimits: config.archives,
    isFsyncOn: config.uploads.fsync,
    idleTimeoutMs: config.idleTimeoutMs,
    log,
    clock: systemClock,
    ids: systemIds,
  })
  const resources: Resources = {
    config,
    log,
    authToken: credentialFile(config, AUTH_TOKEN_FILE),
    inboundSecret: new InboundSecretStore(config.configsDir, {
      clock: systemClock,
      ids: systemIds,
      log,
      graceMs: config.inboundSecretGraceMs,
      onChange: () => presence.nudge(),
    }),
    files,
    ownUrl: () => ownUrl(config, listening),
  }
  const client = new PlatformClient({ ...config, authToken: resources.authToken })
  const agent: AgentPlane = createAgent(resources, () => presence.nudge())
  // However it ends, by a second signal or an exception of ours too: no command outlives it.
  process.once('exit', () => agent.host.killAll())
  const presence = createPresence(resources, client, () => agent)
  const app = createApp({
    log,
    clock: systemClock,
    ids: systemIds,
    inboundSecret: resources.inboundSecret,
    isA2aOpen: config.isA2aOpen,
    files,
    mountAgent: agent.mount,
  })
  await agent.open()
  const server = await listen(app, config.listen)
  listening = server
  announce(server.port, log)
  files.sweep.start()
  // The server is up before the agent is (contract/runtime 22 #13); registering waits for neither.
  const agentStarted = agent.host.start()
  presence.start()
  return async (drainMs) => {
    const closed = server.close(drainMs)
    await Promise.all([presence.stop(), files.sweep.stop(), endAgent(agent, agentStarted, drainMs)])
    await closed
    await client.close()
    files.close()
  }
}

async function endAgent(agent: AgentPlane, started: Promise<void>, drainMs: number): Promise<void> {
  const enough = new AbortController()
  const patience = systemClock.sleep(drainMs, enough.signal).catch((error: unknown) => {
    if (!enough.signal.aborted) throw error
  })
  await Promise.race([Promise.all([started, agent.stop()]), patience])
  enough.abort()
  await agent.host.stop()
}

/** To whoever started the process with a channel: the port that the kernel chose. */
function announce(port: number, log: Logger): void {
  const message: RuntimeReadyMessage = { type: 'ready', port }
  process.send?.(message)
  log.info({ port }, 'runtime.listening')
}

function ownUrl(config: Config, listening: ListeningServer | undefined): string {
  if (config.agentUrl !== undefined) return config.agentUrl
  if (listening === undefined) throw new Error('the runtime does not listen yet')
  const { host } = config.listen
  // Contract/runtime 6.1: a container is reached by its name.
  const reachable = isWildcard(host) ? (process.env['HOSTNAME'] ?? hostname()) : host
  return urlAt(reachable, listening.port)
}

/** As the platform is told: with the machine's address in place of a name, where that is asked for. */
async function ownUrlFor(
  { advertisesAddress, agentUrl, listen, platformUrl }: Config,
  url: string,
) {
  const isSettled = agentUrl !== undefined || (isIP(listen.host) !== 0 && !isWildcard(listen.host))
  if (!advertisesAddress || isSettled) return url
  return urlAt(await addressTowards(platformUrl), new URL(url).port)
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

function urlAt(host: string, port: number | string): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Resolves when the process is asked to end. A second signal ends it at once. */
function endAsked(): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>()
  let isAsked = false
  const onSignal = (signal: string): void => {
    if (isAsked) process.exit(1)
    isAsked = true
    resolve({ reason: signal, drainMs: DRAIN_MS })
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  // The platform that started this process is gone: nobody else would ever end it.
  if (process.connected) {
    process.once('disconnect', () => {
      resolve({ reason: 'the platform is gone', drainMs: ORPHAN_DRAIN_MS })
    })
  }
  return promise
}

/**
 * Writes at once: an asynchronous logger, asked to flush at exit what it could not write because the
 * platform at the other end is gone, tries again for ever, and the process never ends.
 */
function createLogger(config: Config): Logger {
  return pino(
    {
      level: config.logLevel,
      base: { app: 'runtime', workspace_id: config.workspaceId },
      redact: ['*.authorization', '*.auth_token', '*.platform_inbound_secret'],
    },
    pino.destination({ fd: 1, sync: true }),
  )
}

/**
 * The SDK says on the console what callers chose, an id of theirs for one: as it is, it could pass for
 * lines of the log, and drive the terminal of whoever reads them.
 */
function takeConsole(log: Logger): void {
  const say = (...values: unknown[]): void => {
    log.warn({ text: format(...values).slice(0, MAX_CONSOLE_CHARACTERS) }, 'runtime.console')
  }
  Object.assign(console, { debug: say, log: say, info: say, warn: say, error: say })
}

/**
 * Becomes the same program with the environment as it is now: `/proc/<pid>/environ` shows for good
 * what a process was started with, to every command of the same user. Does not return.
 */
function startAnew(): void {
  const { execPath, execArgv, argv, env } = process
  process.execve?.(execPath, [execPath, ...execArgv, ...argv.slice(1)], { ...env })
}

/** Moves credentials and files out of the environment before anything that could pass it on is there. */
function settleEnvironment(): Config {
  const handed = takeHandedCredentials(process.env)
  const handedFiles = takeHandedFiles(process.env)
  const config = parseConfig(process.env)
  if (handed === undefined && handedFiles.length === 0) return config
  const { generation, configPath: directory } = config
  // Begins like the credential, so that whatever hides the one hides the other (path-safety).
  const stored = credentialFile(config, `${AUTH_TOKEN_FILE}.generation`)
  keepHandedFiles(handedFiles, {
    directory,
    isNewer: isNewerThan(generation, stored.current()),
    temporaryName: () => `.${systemIds.hex(16)}.part`,
  })
  keepHandedCredentials(
    { ...NO_CREDENTIALS, ...handed, generation },
    {
      authToken: credentialFile(config, AUTH_TOKEN_FILE),
      inboundSecret: credentialFile(config, INBOUND_SECRET_FILE),
      generation: stored,
    },
  )
  // A channel to whoever started the process would not survive it.
  if (!process.connected) startAnew()
  return parseConfig(process.env)
}

const NO_CREDENTIALS = { authToken: undefined, inboundSecret: undefined } as const

async function main(): Promise<void> {
  const config = settleEnvironment()
  const log = createLogger(config)
  takeConsole(log)
  for (const warning of config.warnings) log.warn({ warning }, 'config.warning')
  const asked = endAsked()
  const stop = await start(config, log)
  const { reason, drainMs } = await asked
  log.info({ reason }, 'runtime.stopping')
  await stop(drainMs)
  log.info('runtime.stopped')
  process.exit(0)
}

try {
  await main()
} catch (error) {
  const text = error instanceof Error ? error.message : String(error)
  process.stderr.write(`the runtime could not start: ${text}\n`)
  process.exit(error instanceof ConfigError ? 2 : 1)
}
