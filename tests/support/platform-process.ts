/** @module The platform as a process of its own, the way a person starts it, for end-to-end tests. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { platformCommand } from '../../scripts/platform-command.ts'
import { eventually } from './eventually.ts'
import { keepForAudit } from './keep-for-audit.ts'
import { recordSecret, runLogPath } from './secret-ledger.ts'
import { createTestDatabase, type TestDatabase } from './test-database.ts'

export const PROJECT_ROOT = resolve(import.meta.dirname, '../..')

const START_WITHIN_MS = 60_000
const STOP_WITHIN_MS = 30_000

export type PlatformProcess = {
  readonly url: string
  readonly pid: number
  readonly dataDir: string
  readonly database: TestDatabase
  /** Standard output and error of the process, below the folder of the test run. */
  readonly logPath: string
  /** Ends it the way Ctrl-C does and returns its exit code; keeps its logs for the audit. */
  stop(): Promise<number | null>
  /** Ends it the way a crash does; its data stay for the one that is started `after` it. */
  kill(): Promise<void>
}

export type PlatformProcessOptions = {
  /** Added to a small environment of its own; nothing else is inherited. */
  readonly env?: Readonly<Record<string, string>>
  /** A killed one, whose data folder and database this one takes over. */
  readonly after?: Pick<PlatformProcess, 'dataDir' | 'database'>
}

/**
 * Starts `apps/platform` in development mode on a free loopback port, with a database cloned for it
 * and a temporary data folder. Fails with the end of its output when it does not come up.
 */
export async function startPlatform(
  options: PlatformProcessOptions = {},
): Promise<PlatformProcess> {
  const database = options.after?.database ?? (await createTestDatabase())
  const dataDir = options.after?.dataDir ?? (await mkdtemp(join(tmpdir(), 'atrium-platform-')))
  const logPath = runLogPath('platform-output')
  const adminToken = options.env?.['ADMIN_TOKEN']
  if (adminToken !== undefined) recordSecret(adminToken)
  const output = openSync(logPath, 'a')
  const child = spawn(process.execPath, platformCommand(), {
    cwd: dataDir,
    stdio: ['ignore', output, output],
    env: {
      PATH: process.env['PATH'] ?? '',
      LANG: 'C.UTF-8',
      ATRIUM_MODE: 'development',
      ATRIUM_DATA_DIR: dataDir,
      DATABASE_URL: database.url,
      PORT: '0',
      // Tests ask every 20 ms whether something has happened.
      RATE_LIMIT: '1000000',
      ...options.env,
    },
  })
  closeSync(output)
  const clean = async () => {
    await keepForAudit(dataDir)
    await rm(dataDir, { recursive: true, force: true })
    await database.drop()
  }
  const endAndClean = async () => {
    try {
      return await end(child)
    } finally {
      await clean()
    }
  }
  try {
    const url = await eventually(() => listeningUrl(child, dataDir), START_WITHIN_MS)
    let stopped: Promise<number | null> | undefined
    return {
      url,
      pid: child.pid ?? 0,
      dataDir,
      database,
      logPath,
      stop() {
        stopped ??= endAndClean()
        return stopped
      },
      kill: () => killed(child),
    }
  } catch (cause) {
    await killed(child)
    if (options.after === undefined) await clean()
    const tail = readFileSync(logPath, 'utf8').slice(-2000)
    throw new Error(`the platform did not start:\n${tail}`, { cause })
  }
}

async function listeningUrl(child: ChildProcess, dataDir: string): Promise<string | undefined> {
  if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
  try {
    const record: unknown = JSON.parse(await readFile(join(dataDir, 'platform.json'), 'utf8'))
    if (typeof record !== 'object' || record === null) return undefined
    // A killed platform leaves its own record behind.
    if ('url' in record && 'pid' in record && record.pid === child.pid) return String(record.url)
  } catch {
    // Not there yet, or half written: looked at again.
  }
  return undefined
}

async function end(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null) child.kill('SIGTERM')
  try {
    await eventually(() => child.exitCode !== null || child.signalCode !== null, STOP_WITHIN_MS)
  } catch (cause) {
    await killed(child)
    throw new Error('the platform did not stop', { cause })
  }
  return child.exitCode
}

/** Resolves when it is gone: until then it may write into the folder that is about to be removed. */
async function killed(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await eventually(() => child.exitCode !== null || child.signalCode !== null)
}
