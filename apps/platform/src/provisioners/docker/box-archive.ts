/** @module Files into and out of a container, as the engine moves them: tar archives, bounded. */
import { buffer } from 'node:stream/consumers'
import type { Container } from 'dockerode'
import { extract, pack } from 'tar-stream'
import { z } from 'zod'
import { BOX_USER } from './container-spec.ts'
import { unlessMissing } from './engine.ts'

export type ArchiveFile = {
  readonly path: string
  readonly content: Uint8Array | string
  readonly mode: number
}

type Owner = { readonly uid: number; readonly gid: number }

const FOLDER_MODE = 0o700
/** Go's `os.FileMode`: of these bits (`ModeType`) a regular file has none, a folder the first. */
const GO_TYPE_BITS = 0x8f28_0000n
const GO_FOLDER = 0x8000_0000n

const infoAnswer = z.object({ headers: z.object({ 'x-docker-container-path-stat': z.string() }) })
const pathStat = z.object({ mode: z.number().int() })

/**
 * Writes files below `folder` of a container, running or not, owned by the runtime unless said
 * otherwise. Folders between are made, or taken over. The engine unpacks inside the container's own
 * file system, so a link that a workspace planted leads nowhere else.
 */
export async function putFiles(
  container: Container,
  folder: string,
  { files, owner = BOX_USER }: { readonly files: readonly ArchiveFile[]; readonly owner?: Owner },
): Promise<void> {
  const archive = pack()
  const made = new Set<string>()
  for (const { path, content, mode } of files) {
    for (const parent of foldersAbove(path)) {
      if (made.has(parent)) continue
      made.add(parent)
      archive.entry({ name: `${parent}/`, type: 'directory', mode: FOLDER_MODE, ...owner })
    }
    const bytes = Buffer.from(content)
    archive.entry({ name: path, mode, size: bytes.length, ...owner }, bytes)
  }
  archive.finalize()
  // Whatever its type says, the library reads the answer itself.
  await container.putArchive(await buffer(archive), { path: folder })
}

function foldersAbove(path: string): readonly string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

/**
 * A regular file of a container, running or not. undefined when the path names anything else. Throws
 * when it is larger than `maxBytes`. Folders above it are not looked at: `box-files.ts` does.
 */
export async function readFileIn(
  container: Container,
  path: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const stream = await unlessMissing(container.getArchive({ path }))
  if (stream === undefined) return undefined
  const archive = extract()
  stream.once('error', (error: Error) => archive.destroy(error))
  stream.pipe(archive)
  try {
    for await (const entry of archive) {
      if (entry.header.type !== 'file') return undefined
      if ((entry.header.size ?? 0) > maxBytes) {
        throw new Error(`a file of the workspace is larger than ${maxBytes} bytes`)
      }
      return await buffer(entry)
    }
    return undefined
  } finally {
    stream.unpipe(archive)
    archive.destroy()
    // What is left of a long one is not read at all.
    if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy()
  }
}

/** What lies at a path of a container, itself and not what it leads to; undefined when nothing. */
export async function kindIn(
  container: Container,
  path: string,
): Promise<'file' | 'folder' | 'other' | undefined> {
  const response: unknown = await unlessMissing(container.infoArchive({ path }))
  if (response === undefined) return undefined
  const { headers } = infoAnswer.parse(response)
  const text = Buffer.from(headers['x-docker-container-path-stat'], 'base64').toString()
  // Bits above those that JavaScript's operators keep.
  const mode = BigInt(pathStat.parse(JSON.parse(text)).mode)
  if ((mode & GO_TYPE_BITS) === 0n) return 'file'
  return (mode & GO_TYPE_BITS) === GO_FOLDER ? 'folder' : 'other'
}
