/** @module One platform per data folder: a lock file that names its holder. */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { processStartTicks } from './process-table.ts'
import { readIfThere } from './read-if-there.ts'

export type FolderLock = { release(): Promise<void> }

const MAX_TAKEOVERS = 3

/**
 * Locks `folder` for this process until released or until the process is gone. `uniqueName` keeps
 * concurrent starters apart. Throws when another live process holds it.
 */
export async function lockFolder(folder: string, uniqueName: string): Promise<FolderLock> {
  const path = join(folder, 'lock')
  const own = await describeHolder(process.pid)
  const draft = join(folder, `lock.${uniqueName}`)
  await writeFile(draft, own, { mode: 0o600 })
  try {
    for (let attempt = 0; attempt <= MAX_TAKEOVERS; attempt += 1) {
      if (await publish(draft, path)) return { release: () => releaseLock(path, own) }
      await removeStale(path, `${draft}.stale`)
    }
  } finally {
    await rm(draft, { force: true })
  }
  throw new Error(`${path} keeps changing: several starts at once`)
}

/** `link` fails when the name exists, so a lock is never seen half written. */
async function publish(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) return false
    throw error
  }
}

/** Throws when the holder lives; otherwise moves the dead one's lock away. */
async function removeStale(path: string, aside: string): Promise<void> {
  const seen = await readIfThere(path)
  if (seen === undefined) return
  const pid = Number.parseInt(seen, 10)
  if (seen === (await describeHolder(pid))) throw heldBy(pid, path)
  try {
    await rename(path, aside)
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return
    throw error
  }
  // Between reading and moving, another starter may have put its own lock here: give it back.
  const moved = await readIfThere(aside)
  if (moved !== undefined && moved !== seen) await publish(aside, path)
  await rm(aside, { force: true })
}

async function releaseLock(path: string, own: string): Promise<void> {
  if ((await readIfThere(path)) === own) await rm(path, { force: true })
}

function heldBy(pid: number, path: string): Error {
  return new Error(
    `the embedded database is in use by process ${pid} (${path}): stop that one first, ` +
      'or give this one a data folder of its own (ATRIUM_DATA_DIR)',
  )
}

/** Pid, start time and boot: the three that name one process across reboots. */
async function describeHolder(pid: number): Promise<string> {
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
  return `${pid} ${(await processStartTicks(pid)) ?? 'gone'} ${bootId.trim()}\n`
}
