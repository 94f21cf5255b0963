/**
 * @module What the platform itself reads of a workspace, by the same rules as its clients: step by
 * step through opened folders, no link, regular files only, no credential by any name.
 */
import type { FileHandle } from 'node:fs/promises'
import { isSecretFile } from '@atrium/path-safety/workspace-path'
import { acceptedPath } from './accepted-path.ts'
import { AnchoredFolder } from './anchored-folder.ts'

/**
 * The file's bytes, or undefined when nothing readable is there. Throws AppError for a path that
 * the wire does not have, and an Error when the file is larger than `maxBytes`.
 */
export async function readBoxFile(
  boxRoot: string,
  wirePath: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const path = acceptedPath(wirePath)
  if (isSecretFile(path)) return undefined
  await using file = await findFile(boxRoot, [path.root, ...path.segments])
  if (file === undefined) return undefined
  // A second name of a credential looks like any other file.
  if (path.root === 'configs' && (await file.stat()).nlink > 1) return undefined
  return await readBounded(file, maxBytes)
}

/** Whether a regular file lies there, below `/configs`. Throws AppError for an illegal path. */
export async function hasConfigFile(boxRoot: string, relativePath: string): Promise<boolean> {
  const path = acceptedPath(`/configs/${relativePath}`)
  await using file = await findFile(boxRoot, [path.root, ...path.segments])
  return file !== undefined
}

async function findFile(
  boxRoot: string,
  segments: readonly string[],
): Promise<FileHandle | undefined> {
  const root = await AnchoredFolder.find(boxRoot)
  let folder = root
  try {
    for (const segment of segments.slice(0, -1)) {
      const next = await folder?.findFolder(segment)
      await folder?.[Symbol.asyncDispose]()
      folder = next
    }
    return await folder?.findFile(segments.at(-1) ?? '')
  } finally {
    await folder?.[Symbol.asyncDispose]()
  }
}

/** Reads what is there, not what `stat` promised: the workspace may be writing. */
async function readBounded(file: FileHandle, maxBytes: number): Promise<Uint8Array> {
  const buffer = Buffer.alloc(maxBytes + 1)
  let length = 0
  while (length < buffer.byteLength) {
    const { bytesRead } = await file.read(buffer, length, buffer.byteLength - length, length)
    if (bytesRead === 0) return buffer.subarray(0, length)
    length += bytesRead
  }
  throw new Error(`a file of the workspace is larger than ${maxBytes} bytes`)
}
