/** @module The real platform app on a real socket and a real database, with a back-end the test holds. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type ListeningServer, listen } from '@atrium/hono-kit/server'
import { type Clock, systemClock, systemIds } from '@atrium/http-kit/clock'
import pino from 'pino'
import { createApp, type PlatformApp } from '../../apps/platform/src/app.ts'
import { createBackground } from '../../apps/platform/src/background.ts'
import { type Config, parseConfig } from '../../apps/platform/src/config.ts'
import { type DatabaseClient, openDatabase } from '../../apps/platform/src/db/client.ts'
import { serializeError } from '../../apps/platform/src/db/db-error.ts'
import { type AppDeps, createDeps } from '../../apps/platform/src/deps.ts'
import { keyringOf } from '../../apps/platform/src/domain/secret-envelope.ts'
import { eventually } from './eventually.ts'
import { FakeProvisioner } from './fake-provisioner.ts'
import { recordSecret, runLogPath } from './secret-ledger.ts'
import { createTestDatabase, type TestDatabase } from './test-database.ts'

export const ADMIN_TOKEN = `admin-${randomBytes(16).toString('hex')}`

export type PlatformHarness = {
  readonly url: string
  readonly config: Config
  readonly deps: AppDeps
  readonly app: PlatformApp['app']
  readonly routes: PlatformApp['routes']
  readonly database: TestDatabase
  readonly client: DatabaseClient
  readonly provisioner: FakeProvisioner
  /** Fetches with the admin token unless the test gives its own headers. */
  request(path: string, init?: RequestInit & { readonly as?: string | null }): Promise<Response>
  json(path: string, body: unknown, as?: string | null): Promise<Response>
  /** Creates a workspace whose box is at `endpoint`, registers it and waits until it is online. */
  onlineWorkspace(endpoint: string, fields?: Record<string, unknown>): Promise<OnlineWorkspace>
  /** What the platform has logged so far. */
  logLines(): string[]
  stop(): Promise<void>
}

export type OnlineWorkspace = {
  readonly id: string
  readonly authToken: string
  readonly inboundSecret: string
}

/**
 * Starts a platform in production mode; `env` overrides single variables. `through` may put something
 * between the platform and its database.
 */
export async function startPlatformHarness(
  env: Record<string, string> = {},
  clock: Clock = systemClock,
  through: Through = (databaseUrl) => databaseUrl,
): Promise<PlatformHarness> {
  const provisioner = new FakeProvisioner()
  return await startOn(await createTestDatabase(), { env, clock, through, provisioner })
}

/** Starts another platform on database and back-end of `first`, its equal; `first` is stopped last. */
export async function startReplicaOf(
  first: PlatformHarness,
  options: { readonly clock?: Clock; readonly through?: Through } = {},
): Promise<PlatformHarness> {
  const shared = { ...first.database, drop: async () => undefined }
  const key = first.config.encryptionKey?.toString('base64') ?? ''
  return await startOn(shared, {
    env: { ATRIUM_ENCRYPTION_KEY: key },
    clock: options.clock ?? systemClock,
    through: options.through ?? ((databaseUrl) => databaseUrl),
    provisioner: first.provisioner,
  })
}

type Surroundings = {
  readonly env: Record<string, string>
  readonly clock: Clock
  readonly through: Through
  readonly provisioner: FakeProvisioner
}

type Through = (databaseUrl: string) => Promise<string> | string

async function startOn(
  database: TestDatabase,
  { env, clock, through, provisioner }: Surroundings,
): Promise<PlatformHarness> {
  const encryptionKey = randomBytes(32).toString('base64')
  const config = parseConfig({
    ATRIUM_MODE: 'production',
    HOST: '127.0.0.1',
    PORT: '0',
    DATABASE_URL: database.url,
    ADMIN_TOKEN,
    ATRIUM_ENCRYPTION_KEY: encryptionKey,
    LOG_LEVEL: 'debug',
    RATE_LIMIT: '1000000',
    ...env,
  })
  for (const secret of [ADMIN_TOKEN, encryptionKey]) recordSecret(secret)
  const client = openDatabase({ url: await through(database.url), maxConnections: 10 })
  const logPath = runLogPath('platform')
  const log = pino(
    { level: config.logLevel, serializers: { err: serializeError } },
    pino.destination({ dest: logPath, mkdir: true, sync: true }),
  )
  let listening: ListeningServer | undefined
  const ids = {
    ...systemIds,
    bearerValue: () => {
      const value = systemIds.bearerValue()
      recordSecret(value)
      return value
    },
  }
  const deps = createDeps({
    config,
    log,
    clock,
    ids,
    database: client,
    keyring: keyringOf(config.encryptionKey ?? randomBytes(32), config.previousEncryptionKeys),
    provisioner,
    ownUrl: () => `http://127.0.0.1:${listening?.port ?? 0}`,
    isShuttingDown: () => false,
  })
  const { app, routes } = createApp(deps)
  const server = await listen(app, config.listen)
  listening = server
  const background = createBackground(deps)
  await deps.lifecycle.start()
  background.start()
  const url = `http://127.0.0.1:${server.port}`

  const request: PlatformHarness['request'] = (path, init = {}) => {
    const { as = ADMIN_TOKEN, ...rest } = init
    const headers = new Headers(rest.headers)
    if (as !== null) headers.set('authorization', `Bearer ${as}`)
    return fetch(`${url}${path}`, { ...rest, headers })
  }
  const json: PlatformHarness['json'] = (path, body, as) =>
    request(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      ...(as === undefined ? {} : { as }),
    })

  return {
    url,
    config,
    deps,
    app,
    routes,
    database,
    client,
    provisioner,
    request,
    json,
    async onlineWorkspace(endpoint, fields = {}) {
      provisioner.endpoint = () => endpoint
      const created = await json('/workspaces', { name: 'bench', runtime: 'echo', ...fields })
      const { id } = (await created.json()) as { id: string }
      const start = await eventually(() => provisioner.starts.find((s) => s.workspaceId === id))
      const authToken = start.credentials.authToken.reveal()
      const inboundSecret = start.credentials.inboundSecret.reveal()
      const card = { name: 'agent' }
      await json('/registry/register', { id, url: endpoint, agent_card: card }, authToken)
      await eventually(async () => {
        const body = (await (await request(`/workspaces/${id}`)).json()) as { status: string }
        return body.status === 'online'
      })
      return { id, authToken, inboundSecret }
    },
    logLines: () => readFileSync(logPath, 'utf8').split('\n').filter(Boolean),
    async stop() {
      await background.stop()
      await deps.lifecycle.stop()
      await deps.tracker.drain()
      await Promise.all([deps.events.stop(), deps.streams.stop()])
      await server.close(1_000)
      await Promise.all([deps.beats.drain(), deps.taskIndex.drain()])
      await Promise.all([
        deps.trustedClient.close(),
        deps.guardedClient.close(),
        deps.shellctl.close(),
        deps.agentClient.close(),
        deps.sessionAuthority?.close(),
      ])
      await deps.refusedUses.stop()
      await client.close()
      await database.drop()
    },
  }
}
