/** @module The environment and `/configs/config.yaml`, read once (H27): all problems together. */

import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { MAX_TIMER_MS } from '@atrium/http-kit/clock'
import { ConfigError } from '@atrium/http-kit/config-error'
import { deepFreeze } from '@atrium/http-kit/deep-freeze'
import { errorCodeOf } from '@atrium/http-kit/error-code'
import { presentVariables } from '@atrium/http-kit/present-variables'
import {
  ARCHIVE_LIMITS_ENV,
  DEFAULT_RUNTIME_PORT,
  RUNTIME_ENV,
} from '@atrium/runtime-contract/environment'
import {
  DEFAULT_MAX_FILE_BYTES,
  DEFAULT_MAX_FILES,
  DEFAULT_MAX_REQUEST_BYTES,
} from '@atrium/runtime-contract/file-transfer'
import {
  DEFAULT_INBOUND_SECRET_GRACE_MS,
  DELIVERY_MODES,
  type DeliveryMode,
} from '@atrium/runtime-contract/registration'
import { z } from 'zod'
import { type AgentSettings, parseAgentSettings } from './agent-settings.ts'
import { type ArchiveLimits, DEFAULT_ARCHIVE_LIMITS } from './files/archive-limits.ts'

const CONFIG_FILE_NAME = 'config.yaml'

const flag = z.enum(['0', '1']).transform((value) => value === '1')
const count = (fallback: number, max = Number.MAX_SAFE_INTEGER) =>
  z.coerce.number().int().positive().max(max).default(fallback)

const environment = z.object({
  [RUNTIME_ENV.workspaceId]: z.string().min(1, 'required'),
  [RUNTIME_ENV.platformUrl]: z.url({ protocol: /^https?$/ }).optional(),
  [RUNTIME_ENV.rootsDir]: z.string().min(1).optional(),
  [RUNTIME_ENV.configPath]: z.string().min(1).optional(),
  [RUNTIME_ENV.configsDir]: z.string().min(1).optional(),
  [RUNTIME_ENV.agentUrl]: z.url({ protocol: /^https?$/ }).optional(),
  [RUNTIME_ENV.advertiseAddress]: flag.default(false),
  [RUNTIME_ENV.listenHost]: z.string().min(1).default('0.0.0.0'),
  [RUNTIME_ENV.listenPort]: z.coerce.number().int().min(0).max(65_535).optional(),
  [RUNTIME_ENV.parentId]: z.string().min(1).optional(),
  [RUNTIME_ENV.generation]: z.coerce.number().int().min(0).max(2_147_483_647).optional(),
  [RUNTIME_ENV.maxFileBytes]: count(DEFAULT_MAX_FILE_BYTES),
  [RUNTIME_ENV.maxRequestBytes]: count(DEFAULT_MAX_REQUEST_BYTES),
  [RUNTIME_ENV.maxFiles]: count(DEFAULT_MAX_FILES),
  [RUNTIME_ENV.uploadFsync]: flag.default(true),
  [RUNTIME_ENV.inboundSecretGraceMs]: z.coerce
    .number()
    .int()
    .positive()
    .default(DEFAULT_INBOUND_SECRET_GRACE_MS),
  [RUNTIME_ENV.a2aOpen]: flag.default(false),
  [RUNTIME_ENV.logLevel]: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info'),
  ATRIUM_IDLE_TIMEOUT_MS: z.coerce.number().int().positive().max(MAX_TIMER_MS).default(60_000),
  ATRIUM_ARCHIVE_MAX_ENTRIES: count(DEFAULT_ARCHIVE_LIMITS.maxEntries),
  ATRIUM_ARCHIVE_MAX_BYTES: count(DEFAULT_ARCHIVE_LIMITS.maxBytes),
  ATRIUM_ARCHIVE_MAX_DEPTH: count(
    DEFAULT_ARCHIVE_LIMITS.maxDepth,
    ARCHIVE_LIMITS_ENV.ATRIUM_ARCHIVE_MAX_DEPTH,
  ),
  ATRIUM_ARCHIVE_MAX_CONCURRENT: count(
    DEFAULT_ARCHIVE_LIMITS.maxConcurrent,
    ARCHIVE_LIMITS_ENV.ATRIUM_ARCHIVE_MAX_CONCURRENT,
  ),
  ATRIUM_DELIVERY_MODE: z.enum(DELIVERY_MODES).optional(),
})

export type Config = {
  readonly workspaceId: string
  readonly platformUrl: string
  readonly listen: { readonly host: string; readonly port: number }
  /** How the platform reaches this runtime; undefined: the address it listens on. */
  readonly agentUrl: string | undefined
  /** Without `agentUrl`: whether to register an address where otherwise a name would do. */
  readonly advertisesAddress: boolean
  readonly deliveryMode: DeliveryMode | undefined
  readonly parentId: string | undefined
  /** Which start of the workspace this is; undefined when nobody said. */
  readonly generation: number | undefined
  /** The four roots of the wire, as folders of this machine. */
  readonly roots: {
    readonly configs: string
    readonly workspace: string
    readonly home: string
    readonly plugins: string
  }
  /** Where `config.yaml` is. */
  readonly configPath: string
  /** Where the credential files are; the configs root unless it was moved. */
  readonly configsDir: string
  readonly uploads: {
    readonly maxFileBytes: number
    readonly maxRequestBytes: number
    readonly maxFiles: number
    readonly fsync: boolean
  }
  readonly archives: ArchiveLimits
  readonly idleTimeoutMs: number
  /** How long the inbound secret that was held before is accepted as well. */
  readonly inboundSecretGraceMs: number
  readonly isA2aOpen: boolean
  readonly logLevel: string
  readonly agent: AgentSettings
  /** What was wrong and did not keep the runtime from starting. */
  readonly warnings: readonly string[]
}

type Environment = Readonly<Record<string, string | undefined>>

/** Parses an environment and the config file it points to. Throws `ConfigError`. */
export function parseConfig(env: Environment): Config {
  const parsed = environment.safeParse(withContractNames(presentVariables(env)))
  if (!parsed.success) throw ConfigError.ofIssues(parsed.error.issues)
  const values = parsed.data
  const roots = rootsOf(values[RUNTIME_ENV.rootsDir], env)
  const configsDir = resolve(values[RUNTIME_ENV.configsDir] ?? roots.configs)
  // Contract/runtime 6.1 and 1.1: two variables, for the file and for the credentials.
  const configPath = resolve(values[RUNTIME_ENV.configPath] ?? configsDir)
  const { agent, warnings } = readAgentSettings(join(configPath, CONFIG_FILE_NAME))
  return deepFreeze({
    workspaceId: values[RUNTIME_ENV.workspaceId],
    platformUrl: (values[RUNTIME_ENV.platformUrl] ?? defaultPlatformUrl(env)).replace(/\/+$/, ''),
    listen: {
      host: values[RUNTIME_ENV.listenHost],
      port: values[RUNTIME_ENV.listenPort] ?? agent.port ?? DEFAULT_RUNTIME_PORT,
    },
    agentUrl: values[RUNTIME_ENV.agentUrl]?.replace(/\/+$/, ''),
    advertisesAddress: values[RUNTIME_ENV.advertiseAddress],
    deliveryMode: values.ATRIUM_DELIVERY_MODE,
    parentId: values[RUNTIME_ENV.parentId],
    generation: values[RUNTIME_ENV.generation],
    roots,
    configPath,
    configsDir,
    uploads: {
      maxFileBytes: values[RUNTIME_ENV.maxFileBytes],
      maxRequestBytes: values[RUNTIME_ENV.maxRequestBytes],
      maxFiles: values[RUNTIME_ENV.maxFiles],
      fsync: values[RUNTIME_ENV.uploadFsync],
    },
    archives: {
      maxEntries: values.ATRIUM_ARCHIVE_MAX_ENTRIES,
      maxBytes: values.ATRIUM_ARCHIVE_MAX_BYTES,
      maxDepth: values.ATRIUM_ARCHIVE_MAX_DEPTH,
      maxConcurrent: values.ATRIUM_ARCHIVE_MAX_CONCURRENT,
    },
    idleTimeoutMs: values.ATRIUM_IDLE_TIMEOUT_MS,
    inboundSecretGraceMs: values[RUNTIME_ENV.inboundSecretGraceMs],
    isA2aOpen: values[RUNTIME_ENV.a2aOpen],
    logLevel: values[RUNTIME_ENV.logLevel],
    agent,
    warnings,
  })
}

/** The platform's URL has two names (contract/runtime 6.6). */
function withContractNames(env: Readonly<Record<string, string>>): Record<string, string> {
  const alias = env[RUNTIME_ENV.platformUrlAlias]
  return alias === undefined ? env : { [RUNTIME_ENV.platformUrl]: alias, ...env }
}

function rootsOf(rootsDir: string | undefined, env: Environment): Config['roots'] {
  const base = rootsDir === undefined ? '/' : resolve(rootsDir)
  return {
    configs: join(base, 'configs'),
    workspace: join(base, 'workspace'),
    home: join(base, 'home'),
    plugins: env[RUNTIME_ENV.pluginsDir] || join(base, 'plugins'),
  }
}

/** Contract/runtime 6.6. */
function defaultPlatformUrl(env: Environment): string {
  const isContainer = existsSync('/.dockerenv') || Boolean(env['DOCKER_VERSION'])
  return isContainer ? 'http://host.docker.internal:8080' : 'http://localhost:8080'
}

/**
 * The agent's settings, with what is wrong about them as warnings: a workspace whose agent is
 * misconfigured stays reachable, so that its files and logs can be looked at (contract/runtime 22 #13).
 */
function readAgentSettings(file: string): {
  readonly agent: AgentSettings
  readonly warnings: readonly string[]
} {
  const warnings: string[] = []
  let text = ''
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const reason = errorCodeOf(error) ?? 'unreadable'
    warnings.push(`${CONFIG_FILE_NAME}: ${reason}; using defaults`)
  }
  const result = parseAgentSettings(text)
  if (result.ok) return { agent: result.settings, warnings }
  warnings.push(...result.problems.map((problem) => `${CONFIG_FILE_NAME}: ${problem}`))
  const defaults = parseAgentSettings('')
  if (!defaults.ok) throw new ConfigError(defaults.problems)
  return { agent: defaults.settings, warnings }
}
