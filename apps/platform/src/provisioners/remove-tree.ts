/** @module Removes a folder with everything in it, whatever a workspace left there. */
import { chmod, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { pathBelow } from './raw-path.ts'

/** With a name of 255 bytes and another one it stays below PATH_MAX. */
const DEEP_BYTES = 3072

/**
 * Removes `path`. A symbolic link is removed itself, never followed; nothing there is success.
 * Read-only folders, as Go's module cache makes them, are opened up first. Throws what the file
 * system says. Nobody may change the tree meanwhile: the caller has ended its processes.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    if (!hasErrorCode(error, 'EACCES', 'EPERM', 'ENAMETOOLONG')) throw error
    await openUp(path)
    await rm(path, { recursive: true, force: true })
  }
}

/**
 * Lets the owner into every folder, and moves those up that lie deeper than a path may be long
 * (PATH_MAX): who makes them goes there step by step, and they would stay for ever.
 */
async function openUp(top: string): Promise<void> {
  await chmod(top, 0o700)
  const taken = new Set(await readdir(top))
  let next = 0
  const freePlace = (): Buffer => {
    while (taken.has(String(next))) next += 1
    taken.add(String(next))
    return Buffer.from(join(top, String(next)))
  }
  const pending: Buffer[] = [Buffer.from(top)]
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    await chmod(folder, 0o700)
    for (const entry of await readdir(folder, { withFileTypes: true, encoding: 'buffer' })) {
      if (!entry.isDirectory()) continue
      const inner = pathBelow(folder, entry.name)
      if (inner.length <= DEEP_BYTES) {
        pending.push(inner)
        continue
      }
      const place = freePlace()
      // Its own permission is asked for as well: it gets another parent.
      await chmod(inner, 0o700)
      await rename(inner, place)
      pending.push(place)
    }
  }
}
