/** @module The real runtime app on a real socket and real folders, without an agent. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { listen } from '@atrium/hono-kit/server'
import { type Clock, type Ids, systemClock, systemIds } from '@atrium/http-kit/clock'
import { INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import {
  DEFAULT_MAX_FILE_BYTES,
  DEFAULT_MAX_FILES,
  DEFAULT_MAX_REQUEST_BYTES,
  FILE_READ_PATH,
  INGEST_PATH,
  UPLOADS_DIR,
} from '@atrium/runtime-contract/file-transfer'
import pino from 'pino'
import { createApp } from '../../apps/workspace-runtime/src/app.ts'
import type { AppDeps } from '../../apps/workspace-runtime/src/deps.ts'
import {
  type ArchiveLimits,
  DEFAULT_ARCHIVE_LIMITS,
} from '../../apps/workspace-runtime/src/files/archive-limits.ts'
import {
  type FilePlane,
  openFilePlane,
  type UploadLimits,
} from '../../apps/workspace-runtime/src/files/file-plane.ts'
import { eventually } from './eventually.ts'
import { ownDescriptors } from './process-probe.ts'
import { type Answer, type Sending, send } from './raw-client.ts'
import { recordSecret, runLogPath } from './secret-ledger.ts'

export type RuntimeHarness = {
  readonly url: string
  readonly secret: string
  readonly files: FilePlane
  /** Where a path on the wire lies on this machine. */
  local(wirePath: string): string
  /** Makes a file with its folders; returns where it lies. */
  place(wirePath: string, content?: string | Uint8Array): string
  readUrl(wirePath: string): URL
  /** Reads with the credential unless the test gives its own headers. */
  read(wirePath: string, sending?: Sending): Promise<Answer>
  /** Any target, exactly as written, with the credential unless headers say otherwise. */
  call(target: string, sending?: Sending): Promise<Answer>
  ingestUrl(): URL
  /** Everything in the upload folder, hidden names included. */
  stored(): readonly string[]
  stop(): Promise<void>
}

export type RuntimeOptions = {
  readonly limits?: Partial<UploadLimits>
  readonly archiveLimits?: Partial<ArchiveLimits>
  readonly isFsyncOn?: boolean
  readonly idleTimeoutMs?: number
  readonly ids?: Ids
  readonly clock?: Clock
  readonly isA2aOpen?: boolean
  readonly mountAgent?: AppDeps['mountAgent']
  /** The file's content; null leaves it out. */
  readonly secretFile?: string | null
  readonly absentRoots?: readonly ('configs' | 'workspace' | 'home' | 'plugins')[]
  /** Whose requests are let in, in place of the harness's own. */
  readonly acceptedSecrets?: () => readonly string[]
  /** An existing folder for the roots, in place of a fresh one. */
  readonly base?: string
  readonly credentialsDirectory?: string
}

export async function startRuntimeHarness(options: RuntimeOptions = {}): Promise<RuntimeHarness> {
  const base = options.base ?? mkdtempSync(join(tmpdir(), 'atrium-runtime-'))
  const directories = makeRoots(base, options.absentRoots)
  const secret = `inbound-${randomBytes(24).toString('hex')}`
  recordSecret(secret)
  const logFile = pino.destination({ dest: runLogPath('runtime'), mkdir: true, sync: true })
  const log = pino({ level: 'debug' }, logFile)
  const ids = options.ids ?? systemIds
  const clock = options.clock ?? systemClock
  const files = openFilePlane({ ...filePlaneOptions(options), directories, log, clock, ids })
  const held = options.secretFile === null ? undefined : (options.secretFile ?? secret)
  if (held !== undefined && existsSync(directories.configs)) {
    writeFileSync(join(directories.configs, INBOUND_SECRET_FILE), held, { mode: 0o600 })
  }
  const app = createApp({
    log,
    clock,
    ids,
    files,
    inboundSecret: {
      accepted:
        options.acceptedSecrets ?? (() => (held === undefined || held === '' ? [] : [held])),
    },
    isA2aOpen: options.isA2aOpen ?? false,
    ...(options.mountAgent === undefined ? {} : { mountAgent: options.mountAgent }),
  })
  const server = await listen(app, { host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${server.port}`
  const local = (wirePath: string): string => join(base, wirePath)
  const authorized = (sending: Sending): Sending => ({
    ...sending,
    headers: { authorization: `Bearer ${secret}`, ...sending.headers },
  })
  const readUrl = (wirePath: string): URL => {
    const target = new URL(FILE_READ_PATH, url)
    target.searchParams.set('path', wirePath)
    return target
  }
  return {
    url,
    secret,
    files,
    local,
    place(wirePath, content = 'content') {
      const path = local(wirePath)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, content)
      return path
    },
    readUrl,
    read: (wirePath, sending = {}) => send(readUrl(wirePath), authorized(sending)),
    call: (target, sending = {}) => send(new URL(target, url), authorized(sending)),
    ingestUrl: () => new URL(INGEST_PATH, url),
    stored: () => {
      const folder = local(UPLOADS_DIR)
      return existsSync(folder) ? readdirSync(folder) : []
    },
    async stop() {
      await files.sweep.stop()
      await server.close(1_000)
      files.close()
      logFile.end()
      if (options.base === undefined) rmSync(base, { recursive: true, force: true })
    },
  }
}

function makeRoots(base: string, absent: RuntimeOptions['absentRoots'] = []) {
  const directories = {
    configs: join(base, 'configs'),
    workspace: join(base, 'workspace'),
    home: join(base, 'home'),
    plugins: join(base, 'plugins'),
  }
  for (const root of ['configs', 'workspace', 'home', 'plugins'] as const) {
    if (!absent.includes(root)) mkdirSync(directories[root], { recursive: true })
  }
  return directories
}

/** What a test may say about the file plane, and what holds where it says nothing. */
function filePlaneOptions(options: RuntimeOptions) {
  const { credentialsDirectory } = options
  return {
    ...(credentialsDirectory === undefined ? {} : { credentialsDirectory }),
    limits: {
      maxFileBytes: DEFAULT_MAX_FILE_BYTES,
      maxRequestBytes: DEFAULT_MAX_REQUEST_BYTES,
      maxFiles: DEFAULT_MAX_FILES,
      ...options.limits,
    },
    archiveLimits: { ...DEFAULT_ARCHIVE_LIMITS, ...options.archiveLimits },
    isFsyncOn: options.isFsyncOn ?? true,
    idleTimeoutMs: options.idleTimeoutMs ?? 60_000,
  }
}

/** Descriptors of regular files and directories in this process: what the file plane could leak. */
export function openFiles(): number {
  return ownDescriptors().filter((target) => target.startsWith('/') && !target.startsWith('/dev/'))
    .length
}

/** Fails when descriptors stay open for longer than a closing takes. */
export async function expectOpenFiles(count: number): Promise<void> {
  await eventually(() => openFiles() <= count, 5_000)
}
