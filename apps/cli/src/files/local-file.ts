/** @module A local file that is to be sent: opened, judged and read through one descriptor. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { reasonOf, usageFailure } from '../failure.ts'
import { printableLine } from '../terminal/printable.ts'

export type LocalFile = {
  /** Base name, as the user wrote it; the workspace decides under which name it is stored. */
  readonly name: string
  readonly sizeBytes: number
  readonly handle: FileHandle
  /** Throws a usage failure when the file is no longer what it was when it was opened. */
  assertUnchanged(): Promise<void>
}

/**
 * Opens regular files for reading; directories, devices and FIFOs are refused at once and never
 * block. Throws a usage failure that names the file. The caller closes them (`closeAll`).
 */
export async function openLocalFiles(cwd: string, paths: readonly string[]): Promise<LocalFile[]> {
  const files: LocalFile[] = []
  try {
    for (const path of paths) files.push(await openLocalFile(resolve(cwd, path), path))
    return files
  } catch (thrown) {
    await closeAll(files)
    throw thrown
  }
}

export async function closeAll(files: readonly LocalFile[]): Promise<void> {
  for (const file of files) await file.handle.close()
}

async function openLocalFile(absolute: string, shown: string): Promise<LocalFile> {
  const label = printableLine(shown)
  let handle: FileHandle
  try {
    // Without O_NONBLOCK the open of a FIFO waits for a writer (design/path-safety 1).
    handle = await open(absolute, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (thrown) {
    throw usageFailure(`cannot read ${label}: ${reasonOf(thrown)}`)
  }
  const before = await handle.stat({ bigint: true })
  if (!before.isFile()) {
    await handle.close()
    throw usageFailure(`${label} is not a regular file`)
  }
  return {
    name: basename(absolute),
    sizeBytes: Number(before.size),
    handle,
    async assertUnchanged() {
      const now = await handle.stat({ bigint: true })
      if (now.size !== before.size || now.mtimeNs !== before.mtimeNs) {
        throw usageFailure(`${label} changed while it was being sent; nothing was stored`)
      }
    },
  }
}
