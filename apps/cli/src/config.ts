/** @module The environment of the command, read once: which platform, and as whom. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { Secret } from '@atrium/http-kit/secret'
import { z } from 'zod'
import { usageFailure } from './failure.ts'

export const DEFAULT_URL = 'http://127.0.0.1:8080'

export type CliConfig = {
  readonly baseUrl: URL
  /** Credential of one workspace; wins over the admin token on that workspace's routes. */
  readonly workspaceToken: Secret | undefined
  readonly adminToken: Secret | undefined
  /** Where commands keep what they have to remember. */
  readonly stateDir: string
  /** The user's environment without what belongs to a platform: for programs we run. */
  readonly childEnv: Readonly<Record<string, string>>
  /** Of the organisation whose platform is meant, where a gateway guards several. */
  readonly orgId: string | undefined
}

type Env = Readonly<Record<string, string | undefined>>

export type ConfigSources = {
  readonly env: Env
  /** The value of `--url`. */
  readonly url?: string | undefined
  /** The root of this project, where a running platform leaves `.atrium/platform.json`. */
  readonly projectRoot: string
  /** Whether a process with this id exists. */
  readonly isAlive: (pid: number) => boolean
}

/** What a running platform writes into its data folder once it listens. */
const platformRecord = z.looseObject({ url: z.string(), pid: z.int().positive().optional() })

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost'])

/**
 * The address of the platform that runs out of this project, or undefined. The record of a process
 * that is gone is ignored, and only a loopback address is believed: the admin token goes there.
 */
function discoverUrl({ env, projectRoot, isAlive }: ConfigSources): string | undefined {
  const dataDir = nonEmpty(env['ATRIUM_DATA_DIR']) ?? join(projectRoot, '.atrium')
  let text: string
  try {
    text = readFileSync(join(dataDir, 'platform.json'), 'utf8')
  } catch {
    // Absent or unreadable means the same here: nothing was discovered, the default holds.
    return undefined
  }
  const record = platformRecord.safeParse(parseJson(text))
  if (!record.success || !URL.canParse(record.data.url)) return undefined
  if (record.data.pid !== undefined && !isAlive(record.data.pid)) return undefined
  return LOOPBACK.has(new URL(record.data.url).hostname) ? record.data.url : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A half-written record is no record; the schema refuses undefined.
    return undefined
  }
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value.trim()
}

/** A credential from somewhere that has a name. Throws a usage failure that never quotes it. */
export function credential(value: string | undefined, name: string): Secret | undefined {
  const text = nonEmpty(value)
  if (text === undefined) return undefined
  // RFC 9110 s5.5: anything else cannot stand in a header, and Node's message would quote it.
  if (!/^[\x21-\x7e]+$/.test(text)) {
    throw usageFailure(`${name} contains characters that cannot stand in a header`)
  }
  return new Secret(text)
}

function parseBaseUrl(value: string, source: string): URL {
  if (!URL.canParse(value)) throw usageFailure(`${source} is not a URL`)
  const url = new URL(value)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw usageFailure(`${source} must be an http or https URL`)
  }
  if (url.username !== '' || url.password !== '') {
    throw usageFailure(
      `${source} must not contain a user name or password`,
      'set ATRIUM_TOKEN or ADMIN_TOKEN instead',
    )
  }
  url.search = ''
  url.hash = ''
  return url
}

/**
 * `--url`, then ATRIUM_URL, then BASE, then the platform that runs out of this project, then the
 * default. Credentials come from the environment only: an argument shows in the process list.
 * Throws a usage failure that never quotes a credential.
 */
export function readConfig(sources: ConfigSources): CliConfig {
  const { env } = sources
  const candidates: readonly (readonly [string, string | undefined])[] = [
    ['--url', nonEmpty(sources.url)],
    ['ATRIUM_URL', nonEmpty(env['ATRIUM_URL'])],
    ['BASE', nonEmpty(env['BASE'])],
    ['the running platform', discoverUrl(sources)],
  ]
  const [source, value] = candidates.find(([, url]) => url !== undefined) ?? ['default', undefined]
  return Object.freeze({
    baseUrl: parseBaseUrl(value ?? DEFAULT_URL, source),
    workspaceToken: credential(env['ATRIUM_TOKEN'], 'ATRIUM_TOKEN'),
    adminToken: credential(env['ADMIN_TOKEN'], 'ADMIN_TOKEN'),
    stateDir: stateDirOf(env),
    childEnv: childEnvOf(env),
    orgId: orgIdOf(env),
  })
}

function orgIdOf(env: Env): string | undefined {
  const id = nonEmpty(env['ATRIUM_ORG_ID']) ?? nonEmpty(env['MOLECULE_ORG_ID'])
  if (id !== undefined && !/^[\x21-\x7e]+$/.test(id)) {
    throw usageFailure('ATRIUM_ORG_ID contains characters that cannot stand in a header')
  }
  return id
}

/** XDG Base Directory: relative values are ignored. */
function stateDirOf(env: Env): string {
  const xdg = nonEmpty(env['XDG_STATE_HOME'])
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'atrium')
  return join(nonEmpty(env['HOME']) ?? homedir(), '.local', 'state', 'atrium')
}

const PLATFORM_VARIABLE =
  /^(?:ATRIUM_|MOLECULE_|ADMIN_TOKEN$|WORKSPACE_AUTH_TOKEN$|DATABASE_URL$|SECRETS_ENCRYPTION_KEY$)/

function childEnvOf(env: Env): Record<string, string> {
  const credentials = ['ATRIUM_TOKEN', 'ADMIN_TOKEN', 'WORKSPACE_AUTH_TOKEN']
    .map((name) => nonEmpty(env[name]))
    .filter((value) => value !== undefined)
  const passed = Object.entries(env).flatMap(([name, value]) => {
    const isKept =
      value !== undefined &&
      !PLATFORM_VARIABLE.test(name) &&
      !credentials.some((held) => value.includes(held))
    return isKept ? [[name, value] as const] : []
  })
  return Object.fromEntries(passed)
}
