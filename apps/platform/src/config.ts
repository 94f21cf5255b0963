/** @module The environment, read once (H27): all problems are reported together. */

import { isAbsolute, normalize, resolve } from 'node:path'
import { MAX_TIMER_MS } from '@atrium/http-kit/clock'
import { ConfigError } from '@atrium/http-kit/config-error'
import { deepFreeze } from '@atrium/http-kit/deep-freeze'
import { presentVariables } from '@atrium/http-kit/present-variables'
import { Secret } from '@atrium/http-kit/secret'
import {
  DEFAULT_MAX_FILE_BYTES,
  DEFAULT_MAX_FILES,
  DEFAULT_MAX_REQUEST_BYTES,
} from '@atrium/runtime-contract/file-transfer'
import { z } from 'zod'

import {
  AGENT_ADDRESS_VARIABLES,
  type AgentAddressConfig,
  agentAddressesOf,
  agentAddressNotices,
} from './agent-address-config.ts'
import { ARCHIVE_VARIABLES, archiveLimitsOf } from './archive-config.ts'
import {
  CONTROL_PLANE_VARIABLES,
  type ControlPlaneConfig,
  controlPlaneOf,
  missingForControlPlane,
} from './control-plane-config.ts'
import { EDGE_VARIABLES, type EdgeConfig, edgeOf } from './edge-config.ts'
import {
  type DockerSettings,
  dockerEnvironment,
  parseDockerSettings,
} from './provisioners/docker/docker-settings.ts'

/** The contract's names that an existing deployment may still set (contract/platform 10). */
const ALIASES: Readonly<Record<string, string>> = Object.freeze({
  ATRIUM_ENCRYPTION_KEY: 'SECRETS_ENCRYPTION_KEY',
  ATRIUM_ENCRYPTION_KEYS_PREVIOUS: 'SECRETS_ENCRYPTION_KEYS_PREVIOUS',
  ATRIUM_ENABLE_TEST_TOKENS: 'MOLECULE_ENABLE_TEST_TOKENS',
})

const flag = z.enum(['0', '1']).transform((value) => value === '1')
const count = (fallback: number) => z.coerce.number().int().positive().default(fallback)
const milliseconds = (fallback: number) =>
  z.coerce.number().int().positive().max(MAX_TIMER_MS).default(fallback)

const environment = z.object({
  ATRIUM_MODE: z.enum(['production', 'development']).default('production'),
  HOST: z.string().min(1).optional(),
  PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  DATABASE_URL: z
    .string()
    .refine(
      isDatabaseUrl,
      'must be a postgres:// URL, with the special characters of its password percent-encoded',
    )
    .optional(),
  DATABASE_MAX_CONNECTIONS: count(20),
  MIGRATE_ON_START: flag.optional(),
  // A bearer carries nothing else, so another one would let nobody in (RFC 6750 s2.1).
  ADMIN_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces or line breaks')
    .optional(),
  ATRIUM_ENCRYPTION_KEY: z.string().min(1).optional(),
  ATRIUM_ENCRYPTION_KEYS_PREVIOUS: z.string().default(''),
  ATRIUM_ROTATION_GRACE_MS: milliseconds(600_000),
  ATRIUM_INBOUND_SECRET_MAX_AGE_DAYS: z.coerce.number().int().min(0).max(36_500).default(90),
  ATRIUM_ENABLE_TEST_TOKENS: flag.optional(),
  ATRIUM_OPEN_WORKSPACE_SCOPE: flag.default(false),
  CONFIGS_DIR: z.string().min(1).optional(),
  ATRIUM_DATA_DIR: z.string().min(1).default('.atrium'),
  PATH: z.string().optional(),
  LANG: z.string().optional(),
  TZ: z.string().optional(),
  ATRIUM_PROVISIONER: z.enum(['process', 'docker', 'control-plane', 'none']).default('process'),
  ...CONTROL_PLANE_VARIABLES,
  ATRIUM_CP_TIMEOUT_MS: milliseconds(120_000),
  ...dockerEnvironment,
  ATRIUM_SANDBOX: z.enum(['auto', 'on', 'off']).default('auto'),
  ATRIUM_SANDBOX_READABLE: z
    .string()
    .default('')
    .transform((text) => text.split(':').filter((path) => path !== ''))
    .refine(
      (paths) => paths.every(isReadableFolder),
      'must be absolute paths, separated by colons',
    ),
  PLATFORM_URL: z.url().optional(),
  EXTERNAL_PLATFORM_URL: z.url().optional(),
  ...EDGE_VARIABLES,
  ...AGENT_ADDRESS_VARIABLES,
  ATRIUM_MAX_FILE_BYTES: count(DEFAULT_MAX_FILE_BYTES),
  ATRIUM_MAX_REQUEST_BYTES: count(DEFAULT_MAX_REQUEST_BYTES),
  ATRIUM_MAX_FILES: count(DEFAULT_MAX_FILES),
  ATRIUM_UPLOAD_FSYNC: flag.default(true),
  ...ARCHIVE_VARIABLES,
  ATRIUM_IDLE_TIMEOUT_MS: milliseconds(60_000),
  ATRIUM_HEADERS_TIMEOUT_MS: milliseconds(60_000),
  ATRIUM_START_TIMEOUT_MS: milliseconds(30_000),
  ATRIUM_AGENT_TIMEOUT_MS: milliseconds(600_000),
  ATRIUM_AUDIT_RETENTION_DAYS: count(90),
  ATRIUM_EVENT_RETENTION_DAYS: count(30),
  ATRIUM_A2A_QUEUE_CAP: count(1_000),
  ATRIUM_A2A_RETENTION_HOURS: count(24),
  ACTIVITY_RETENTION_DAYS: count(7),
  ACTIVITY_CLEANUP_INTERVAL_HOURS: count(6),
  ATRIUM_RESTART_DELAY_MS: milliseconds(500),
  ATRIUM_SWEEP_INTERVAL_MS: milliseconds(15_000),
  ATRIUM_LIVENESS_STALE_AFTER: count(180),
  REMOTE_LIVENESS_STALE_AFTER: count(90),
  PROVISION_TIMEOUT_SECONDS: z.coerce.number().int().positive().optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
})

/** The root itself would show everything. */
function isReadableFolder(path: string): boolean {
  return isAbsolute(path) && normalize(path) === path && !path.endsWith('/')
}

/** What the driver can take apart; a list of hosts counts by its first. */
function isDatabaseUrl(text: string): boolean {
  const url = URL.parse(text.replace(/,[^/?#@]*(?=[/?#]|$)/, ''))
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) return false
  return [url.username, url.password].every(isDecodable)
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    // Not a swallowed failure: the throw is the answer.
    return false
  }
}

export type Config = {
  readonly isDevelopment: boolean
  readonly listen: { readonly host: string; readonly port: number }
  readonly database: {
    /** undefined: the embedded server under `dataDir`. */
    readonly url: Secret | undefined
    readonly maxConnections: number
    readonly migrateOnStart: boolean
  }
  readonly identity: {
    readonly adminToken: Secret | undefined
    readonly testTokensEnabled: boolean
    /** Development without an admin token: operators need no credential (contract/platform 3.6). */
    readonly isAdminScopeOpen: boolean
    readonly isWorkspaceScopeOpen: boolean
  }
  readonly edge: EdgeConfig
  /** undefined: one is made and kept in `dataDir` (development only). */
  readonly encryptionKey: Buffer | undefined
  /** Open what was sealed with them, until nothing is left that was. */
  readonly previousEncryptionKeys: readonly Buffer[]
  readonly inboundSecrets: {
    /** After a delivery that nobody has proved, the previous secret is kept for so long. */
    readonly rotationGraceMs: number
    /** 0: never rotated because of their age. */
    readonly maxAgeDays: number
  }
  readonly dataDir: string
  /** Folder of the workspace templates; undefined: there are none. */
  readonly templatesDir: string | undefined
  readonly provisioner: 'process' | 'docker' | 'control-plane' | 'none'
  /** Used by the provisioner of that name only. */
  readonly controlPlane: ControlPlaneConfig & { readonly timeoutMs: number }
  readonly docker: DockerSettings
  /** Whether local workspaces run in bubblewrap, and what of this machine they may read besides. */
  readonly sandbox: { readonly mode: 'auto' | 'on' | 'off'; readonly readable: readonly string[] }
  /** All that a local workspace takes over from the platform's own environment. */
  readonly inheritedEnv: Readonly<Partial<Record<'PATH' | 'LANG' | 'TZ', string>>>
  /** How workspaces reach the platform; undefined: the address it listens on. */
  readonly platformUrl: string | undefined
  readonly externalPlatformUrl: string | undefined
  readonly agentAddresses: AgentAddressConfig
  /** What is to be logged at the start: questionable, and wrong in no way that stops it. */
  readonly notices: readonly string[]
  readonly uploads: {
    readonly maxFileBytes: number
    readonly maxRequestBytes: number
    readonly maxFiles: number
    readonly fsync: boolean
  }
  /** Of the runtimes that this platform starts, as their environment has them. */
  readonly archiveLimits: Readonly<Record<string, string>>
  readonly activity: { readonly retentionDays: number; readonly cleanupIntervalHours: number }
  /** How many messages may wait for a workspace, and how long those are kept that are over. */
  readonly a2a: { readonly queueCap: number; readonly retentionHours: number }
  readonly idleTimeoutMs: number
  readonly headersTimeoutMs: number
  readonly startTimeoutMs: number
  readonly agentTimeoutMs: number
  readonly auditRetentionDays: number
  /** Before the first restart of a workspace that died; doubles with every death. */
  readonly restartDelayMs: number
  /** When the reconcilers look, and what is too long for them (contract/platform 7.11). */
  readonly sweeps: {
    readonly sweepIntervalMs: number
    readonly livenessStaleMs: number
    readonly externalStaleMs: number
    /** For all runtime kinds; undefined leaves each its own (`domain/provision-timeout.ts`). */
    readonly provisionTimeoutMs: number | undefined
  }
  readonly eventRetentionDays: number
  readonly logLevel: string
}

type Values = z.output<typeof environment>

/** Parses an environment. Throws `ConfigError` naming every variable that is wrong. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const parsed = environment.safeParse(withContractNames(presentVariables(env)))
  if (!parsed.success) throw ConfigError.ofIssues(parsed.error.issues)
  const values = parsed.data
  const isDevelopment = values.ATRIUM_MODE === 'development'
  const host = values.HOST ?? (isDevelopment ? '127.0.0.1' : '0.0.0.0')
  const { problems: keyProblems, ...keys } = encryptionKeysOf(values)
  const docker = parseDockerSettings(values)
  const problems = [
    // Of no interest where another back-end is used: `DOCKER_HOST` may be a person's own.
    ...(values.ATRIUM_PROVISIONER === 'docker' ? docker.problems : []),
    ...keyProblems,
    ...(isDevelopment ? unsafeInDevelopment(values, host) : missingInProduction(values)),
    ...(values.ATRIUM_PROVISIONER === 'control-plane' ? missingForControlPlane(values) : []),
  ]
  if (problems.length > 0) throw new ConfigError(problems)
  return deepFreeze({
    isDevelopment,
    listen: { host, port: values.PORT },
    database: databaseOf(values, isDevelopment),
    identity: identityOf(values, isDevelopment),
    ...keys,
    inboundSecrets: {
      rotationGraceMs: values.ATRIUM_ROTATION_GRACE_MS,
      maxAgeDays: values.ATRIUM_INBOUND_SECRET_MAX_AGE_DAYS,
    },
    edge: edgeOf(values),
    dataDir: resolve(values.ATRIUM_DATA_DIR),
    templatesDir: values.CONFIGS_DIR === undefined ? undefined : resolve(values.CONFIGS_DIR),
    provisioner: values.ATRIUM_PROVISIONER,
    controlPlane: { ...controlPlaneOf(values), timeoutMs: values.ATRIUM_CP_TIMEOUT_MS },
    docker: docker.settings,
    sandbox: { mode: values.ATRIUM_SANDBOX, readable: values.ATRIUM_SANDBOX_READABLE },
    inheritedEnv: inheritedEnvOf(values),
    platformUrl: values.PLATFORM_URL?.replace(/\/+$/, ''),
    externalPlatformUrl: values.EXTERNAL_PLATFORM_URL?.replace(/\/+$/, ''),
    agentAddresses: agentAddressesOf(values, isDevelopment),
    notices: agentAddressNotices(values),
    ...limitsOf(values),
    logLevel: values.LOG_LEVEL,
  })
}

/** How much, how long, and how often. */
function limitsOf(values: Values) {
  return {
    uploads: {
      maxFileBytes: values.ATRIUM_MAX_FILE_BYTES,
      maxRequestBytes: values.ATRIUM_MAX_REQUEST_BYTES,
      maxFiles: values.ATRIUM_MAX_FILES,
      fsync: values.ATRIUM_UPLOAD_FSYNC,
    },
    archiveLimits: archiveLimitsOf(values),
    activity: {
      retentionDays: values.ACTIVITY_RETENTION_DAYS,
      cleanupIntervalHours: values.ACTIVITY_CLEANUP_INTERVAL_HOURS,
    },
    a2a: {
      queueCap: values.ATRIUM_A2A_QUEUE_CAP,
      retentionHours: values.ATRIUM_A2A_RETENTION_HOURS,
    },
    idleTimeoutMs: values.ATRIUM_IDLE_TIMEOUT_MS,
    headersTimeoutMs: values.ATRIUM_HEADERS_TIMEOUT_MS,
    startTimeoutMs: values.ATRIUM_START_TIMEOUT_MS,
    agentTimeoutMs: values.ATRIUM_AGENT_TIMEOUT_MS,
    auditRetentionDays: values.ATRIUM_AUDIT_RETENTION_DAYS,
    restartDelayMs: values.ATRIUM_RESTART_DELAY_MS,
    sweeps: {
      sweepIntervalMs: values.ATRIUM_SWEEP_INTERVAL_MS,
      livenessStaleMs: values.ATRIUM_LIVENESS_STALE_AFTER * 1000,
      externalStaleMs: values.REMOTE_LIVENESS_STALE_AFTER * 1000,
      provisionTimeoutMs:
        values.PROVISION_TIMEOUT_SECONDS && values.PROVISION_TIMEOUT_SECONDS * 1000,
    },
    eventRetentionDays: values.ATRIUM_EVENT_RETENTION_DAYS,
  }
}

function inheritedEnvOf(values: Values): Config['inheritedEnv'] {
  const names = ['PATH', 'LANG', 'TZ'] as const
  return Object.fromEntries(
    names.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])),
  )
}

function databaseOf(values: Values, isDevelopment: boolean): Config['database'] {
  return {
    url: asSecret(values.DATABASE_URL),
    maxConnections: values.DATABASE_MAX_CONNECTIONS,
    migrateOnStart: values.MIGRATE_ON_START ?? isDevelopment,
  }
}

function identityOf(values: Values, isDevelopment: boolean): Config['identity'] {
  const isAdminScopeOpen = isDevelopment && values.ADMIN_TOKEN === undefined
  return {
    adminToken: asSecret(values.ADMIN_TOKEN),
    testTokensEnabled: values.ATRIUM_ENABLE_TEST_TOKENS ?? isDevelopment,
    isAdminScopeOpen,
    isWorkspaceScopeOpen: isAdminScopeOpen && values.ATRIUM_OPEN_WORKSPACE_SCOPE,
  }
}

function asSecret(value: string | undefined): Secret | undefined {
  return value === undefined ? undefined : new Secret(value)
}

function unsafeInDevelopment(values: Values, host: string): string[] {
  if (values.ADMIN_TOKEN !== undefined || LOOPBACK_HOSTS.has(host)) return []
  return [
    `HOST: development mode without ADMIN_TOKEN is open to everybody and binds to loopback only, not ${host}; set ADMIN_TOKEN`,
  ]
}

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost'])

/** The contract's names fill in where ours are unset. */
function withContractNames(env: Readonly<Record<string, string>>): Record<string, string> {
  const filled: Record<string, string> = { ...modeByContract(env), ...env }
  for (const [name, alias] of Object.entries(ALIASES)) {
    const value = env[alias]
    if (value !== undefined) filled[name] ??= value
  }
  return filled
}

function modeByContract(env: Readonly<Record<string, string>>): Record<string, string> {
  const mode = env['MOLECULE_ENV']?.toLowerCase()
  if (mode === undefined || env['ATRIUM_MODE'] !== undefined) return {}
  if (mode !== 'development' && mode !== 'dev') return { ATRIUM_MODE: 'production' }
  // Who asks for the contract's development mode by its own name gets all of it (3.6).
  return { ATRIUM_MODE: 'development', ATRIUM_OPEN_WORKSPACE_SCOPE: '1' }
}

function missingInProduction(values: Values): string[] {
  const required = ['ADMIN_TOKEN', 'DATABASE_URL', 'ATRIUM_ENCRYPTION_KEY'] as const
  return required
    .filter((name) => values[name] === undefined)
    .map((name) => `${name}: required in production (ATRIUM_MODE=development for a local trial)`)
}

const KEY_FORM = '32 bytes, raw or base64 (openssl rand -base64 32)'

/** A key that is wrong is a problem, and then none. */
function encryptionKeysOf(values: Values) {
  const current = parseEncryptionKey(values.ATRIUM_ENCRYPTION_KEY)
  const parts = values.ATRIUM_ENCRYPTION_KEYS_PREVIOUS.split(',').map((part) => part.trim())
  const previous = parts.filter((part) => part !== '').map((part) => parseEncryptionKey(part))
  return {
    encryptionKey: current === 'invalid' ? undefined : current,
    previousEncryptionKeys: previous.filter((key) => key !== undefined && key !== 'invalid'),
    problems: [
      ...(current === 'invalid' ? [`ATRIUM_ENCRYPTION_KEY: must be ${KEY_FORM}`] : []),
      ...(previous.includes('invalid')
        ? [`ATRIUM_ENCRYPTION_KEYS_PREVIOUS: each must be ${KEY_FORM}, with commas between them`]
        : []),
    ],
  }
}

function parseEncryptionKey(text: string | undefined): Buffer | undefined | 'invalid' {
  if (text === undefined) return undefined
  const raw = Buffer.from(text, 'utf8')
  if (raw.length === 32) return raw
  const decoded = Buffer.from(text, 'base64')
  return decoded.length === 32 ? decoded : 'invalid'
}
