/**
 * @module The unfinished half of a download: `<target>.part` and, beside it, what it is the first
 * half of. Without that record a `.part` file belongs to somebody else and is left alone.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, readFile, rm, writeFile } from 'node:fs/promises'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { z } from 'zod'
import { describeThrown, reasonOf, usageFailure } from '../failure.ts'

const partRecord = z.object({
  workspace_id: z.string(),
  path: z.string(),
  /** Strong validator of the file on the server; without one a part cannot be continued. */
  etag: z.string().nullable(),
  /** The process that is writing the part, so that two do not mix their halves. */
  pid: z.number().int().positive(),
})
export type PartRecord = z.infer<typeof partRecord>

export type PartSource = { readonly workspaceId: string; readonly path: string }

export type PartialDownload = {
  readonly partPath: string
  readonly handle: FileHandle
  /** Bytes that are already there, and the validator they belong to; 0 starts from nothing. */
  readonly offsetBytes: number
  readonly etag: string | undefined
  /** Records the validator of what is about to be written. */
  remember(etag: string | undefined): Promise<void>
  /** Removes part and record. */
  discard(): Promise<void>
}

export type OpenPartOptions = {
  readonly pid: number
  readonly isAlive: (pid: number) => boolean
  /** Take over a part that is not, or no longer, ours. */
  readonly force: boolean
}

function recordPath(targetPath: string): string {
  return `${targetPath}.part.json`
}

async function readRecord(targetPath: string): Promise<PartRecord | undefined> {
  let text: string
  try {
    text = await readFile(recordPath(targetPath), 'utf8')
  } catch (thrown) {
    if (hasErrorCode(thrown, 'ENOENT')) return undefined
    throw usageFailure(`cannot read ${recordPath(targetPath)}: ${describeThrown(thrown)}`)
  }
  try {
    return partRecord.parse(JSON.parse(text))
  } catch {
    // Not a record of ours (or torn by a crash): the part beside it is not ours either.
    return undefined
  }
}

async function openPart(partPath: string, mayExist: boolean): Promise<FileHandle> {
  const exclusive = mayExist ? 0 : constants.O_EXCL
  try {
    return await open(
      partPath,
      constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | exclusive,
    )
  } catch (thrown) {
    if (hasErrorCode(thrown, 'EEXIST')) {
      throw usageFailure(
        `${partPath} exists and is not an unfinished download`,
        'move it away, or use --force to overwrite it',
      )
    }
    throw usageFailure(`cannot write ${partPath}: ${describeThrown(thrown)}`)
  }
}

/**
 * Opens the part of `targetPath`, continuing what an earlier run left when it was the same file of
 * the same workspace. Throws a usage failure when the part is somebody else's or still being
 * written by another process.
 */
export async function openPartialDownload(
  targetPath: string,
  source: PartSource,
  options: OpenPartOptions,
): Promise<PartialDownload> {
  const partPath = `${targetPath}.part`
  const record = await readRecord(targetPath)
  if (record !== undefined && record.pid !== options.pid && !options.force) {
    if (options.isAlive(record.pid)) {
      throw usageFailure(
        `another process (${record.pid}) is downloading to ${targetPath}`,
        'wait for it, or use --force',
      )
    }
  }
  const handle = await openPart(partPath, record !== undefined || options.force)
  const isSame = record?.workspace_id === source.workspaceId && record.path === source.path
  const etag = isSame ? (record.etag ?? undefined) : undefined
  const offsetBytes = etag === undefined ? 0 : (await handle.stat()).size
  return {
    partPath,
    handle,
    offsetBytes,
    etag,
    remember: async (current) => {
      const next: PartRecord = {
        workspace_id: source.workspaceId,
        path: source.path,
        // RFC 9110 s13.1.5: If-Range takes a strong validator only.
        etag: current === undefined || current.startsWith('W/') ? null : current,
        pid: options.pid,
      }
      try {
        await writeFile(recordPath(targetPath), `${JSON.stringify(next)}\n`)
      } catch (thrown) {
        throw usageFailure(`cannot write ${recordPath(targetPath)}: ${reasonOf(thrown)}`)
      }
    },
    discard: async () => {
      await rm(partPath, { force: true })
      await rm(recordPath(targetPath), { force: true })
    },
  }
}
