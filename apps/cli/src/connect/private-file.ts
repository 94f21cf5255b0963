/** @module Files that nobody else reads and that are whole after a crash: the old one or the new one. */
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Creates the folder and what is above it, for this user alone. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

/** Replaces `path`; resolves when the new content, and that it is there, are on disk. */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  const draft = `${path}.new`
  await rm(draft, { force: true })
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, path)
  await syncFolder(dirname(path))
}

/** Without it a crash of the machine can bring the old name back, or none. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
