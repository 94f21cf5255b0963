/** @module The data folder: made once, whole or not at all. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { lchown, open, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { Secret } from '@atrium/http-kit/secret'
import type { PostgresBinaries } from './binaries.ts'
import { type Launcher, SERVER_ENVIRONMENT } from './launcher.ts'
import { readIfThere } from './read-if-there.ts'
import { syncFolder } from './sync-folder.ts'

/** Superuser and database of the embedded server. */
export const CLUSTER_USER = 'atrium'

const INITDB_TIMEOUT_MS = 120_000
const DRAFT_SUFFIX = '.init-'
const run = promisify(execFile)

export type ClusterPaths = {
  readonly pgdata: string
  readonly passwordFile: string
}

export type ClusterTools = {
  readonly binaries: PostgresBinaries
  readonly launcher: Launcher
  /** false: trade durability for speed, for databases nobody will miss. */
  readonly isDurable: boolean
  /** Keeps the names of drafts apart. */
  readonly uniqueName: string
}

/**
 * Makes the cluster at `paths.pgdata` unless it is there, and returns its password. Throws when the
 * folder holds something else, a cluster of another version, or one without its password.
 */
export async function prepareCluster(paths: ClusterPaths, tools: ClusterTools): Promise<Secret> {
  await removeDrafts(paths.pgdata)
  const dataVersion = await readIfThere(join(paths.pgdata, 'PG_VERSION'))
  if (dataVersion === undefined) {
    const password = await makePassword(paths.passwordFile, tools)
    await initialise(paths, tools)
    return password
  }
  await refuseOtherVersion(paths.pgdata, dataVersion.trim(), tools.binaries)
  const stored = (await readIfThere(paths.passwordFile))?.trim()
  if (stored === undefined || stored === '') {
    throw new Error(
      `${paths.passwordFile} is missing, so nobody can log in to the database beside it: ` +
        'restore it from a backup, or move both away to start with an empty database',
    )
  }
  return new Secret(stored)
}

/** initdb into a draft, then one rename: a crash in between leaves a draft, never half a cluster. */
async function initialise(paths: ClusterPaths, tools: ClusterTools): Promise<void> {
  const draft = `${paths.pgdata}${DRAFT_SUFFIX}${tools.uniqueName}`
  const [command, ...args] = [
    ...tools.launcher.prefix,
    tools.binaries.initdb,
    ...['--pgdata', draft, '--username', CLUSTER_USER, '--pwfile', paths.passwordFile],
    // The builtin provider sorts the same on every machine, whatever locales it has.
    ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C'],
    ...['--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--no-instructions'],
    ...(tools.isDurable ? [] : ['--no-sync']),
  ]
  if (command === undefined) throw new Error('an empty command')
  try {
    await run(command, args, {
      ...tools.launcher.user,
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      timeout: INITDB_TIMEOUT_MS,
    })
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw new Error(`initdb failed on ${draft}: ${stderrOf(error)}`, { cause: error })
  }
  await publish(draft, paths.pgdata, tools.isDurable)
}

async function publish(draft: string, pgdata: string, isDurable: boolean): Promise<void> {
  try {
    // An empty folder may stand there; anything else is not ours to remove.
    await rmdir(pgdata)
  } catch (error) {
    if (hasErrorCode(error, 'ENOTEMPTY')) {
      throw new Error(`${pgdata} is not a PostgreSQL data folder and not empty: move it away`)
    }
    if (!hasErrorCode(error, 'ENOENT')) throw error
  }
  await rename(draft, pgdata)
  if (isDurable) await syncFolder(dirname(pgdata))
}

/** Written before the cluster exists and made durable, so that no crash separates the two. */
async function makePassword(path: string, tools: ClusterTools): Promise<Secret> {
  const password = randomBytes(32).toString('hex')
  const draft = `${path}.${tools.uniqueName}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(`${password}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  const { user } = tools.launcher
  if (user !== undefined) await lchown(draft, user.uid, user.gid)
  await rename(draft, path)
  await syncFolder(dirname(path))
  return new Secret(password)
}

async function removeDrafts(pgdata: string): Promise<void> {
  const prefix = `${basename(pgdata)}${DRAFT_SUFFIX}`
  for (const name of await readdir(dirname(pgdata))) {
    if (!name.startsWith(prefix)) continue
    await rm(join(dirname(pgdata), name), { recursive: true, force: true })
  }
}

async function refuseOtherVersion(
  pgdata: string,
  dataVersion: string,
  binaries: PostgresBinaries,
): Promise<void> {
  const { stdout } = await run(binaries.postgres, ['--version'], { env: SERVER_ENVIRONMENT })
  const serverVersion = /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1]
  if (serverVersion === dataVersion) return
  throw new Error(
    `${pgdata} was made by PostgreSQL ${dataVersion}, this release brings ${serverVersion ?? 'another'}: ` +
      'dump it with the older release and restore the dump here, or move it away',
  )
}

function stderrOf(error: unknown): string {
  if (error instanceof Error && 'stderr' in error) return String(error.stderr).trim()
  return error instanceof Error ? error.message : String(error)
}
