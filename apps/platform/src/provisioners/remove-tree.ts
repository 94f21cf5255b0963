/** @module Removes a folder with everything in it, whatever a workspace left there. */
import { chmod, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'

/**
 * Removes `path`. A symbolic link is removed itself, never followed; nothing there is success.
 * Read-only folders, as Go's module cache makes them, are opened up first. Throws what the file
 * system says. Nobody may change the tree meanwhile: the caller has ended its processes.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    if (!hasErrorCode(error, 'EACCES', 'EPERM')) throw error
    await openUp(path)
    await rm(path, { recursive: true, force: true })
  }
}

async function openUp(top: string): Promise<void> {
  const pending = [top]
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    await chmod(folder, 0o700)
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) pending.push(join(folder, entry.name))
    }
  }
}
