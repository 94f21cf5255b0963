/** @module One `atrium connect` per workspace on a machine: two would answer everything twice. */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { usageFailure } from '../failure.ts'
import { pidOf, processMark } from './process-mark.ts'

const MAX_TAKEOVERS = 3

export type ConnectLock = { release(): Promise<void> }

export type LockOwner = {
  readonly pid: number
  readonly isAlive: (pid: number) => boolean
  /** Keeps the drafts of concurrent starters apart. */
  readonly uniqueName: string
}

/** Takes the folder until released or until this process is gone. Throws a usage failure. */
export async function lockConnectFolder(folder: string, owner: LockOwner): Promise<ConnectLock> {
  const path = join(folder, 'lock')
  const own = processMark(owner.pid)
  const draft = `${path}.${owner.uniqueName}`
  await writeFile(draft, own, { mode: 0o600 })
  try {
    for (let attempt = 0; attempt <= MAX_TAKEOVERS; attempt += 1) {
      if (await publish(draft, path)) return { release: () => release(path, own) }
      await removeStale(path, { ...owner, aside: `${draft}.stale` })
    }
  } finally {
    await rm(draft, { force: true })
  }
  throw usageFailure(`${path} keeps changing: several starts at once`)
}

/** `link` fails when the name exists, so a lock is never seen half written. */
async function publish(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path)
    return true
  } catch (thrown) {
    if (hasErrorCode(thrown, 'EEXIST')) return false
    throw thrown
  }
}

async function removeStale(
  path: string,
  owner: LockOwner & { readonly aside: string },
): Promise<void> {
  const seen = await readIfThere(path)
  if (seen === undefined) return
  const pid = pidOf(seen)
  if (owner.isAlive(pid) && processMark(pid) === seen) {
    throw usageFailure(
      `another atrium connect (process ${pid}) answers for this workspace`,
      `stop it first; its lock is ${path}`,
    )
  }
  try {
    await rename(path, owner.aside)
  } catch (thrown) {
    if (hasErrorCode(thrown, 'ENOENT')) return
    throw thrown
  }
  // Between reading and moving, another starter may have put its own lock here: give it back.
  const moved = await readIfThere(owner.aside)
  if (moved !== undefined && moved !== seen) await publish(owner.aside, path)
  await rm(owner.aside, { force: true })
}

async function release(path: string, own: string): Promise<void> {
  if ((await readIfThere(path)) === own) await rm(path, { force: true })
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (thrown) {
    if (hasErrorCode(thrown, 'ENOENT')) return undefined
    throw thrown
  }
}
