/** @module The answer to one request for an archive: its head once it has a beginning, its bytes. */
import type { ServerResponse } from 'node:http'
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { attachmentDisposition } from '@atrium/http-kit/content-disposition'
import { errorCodeOf, hasErrorCode } from '@atrium/http-kit/error-code'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import type { FolderPath } from '@atrium/path-safety/workspace-path'
import { ARCHIVE_MEDIA_TYPES, type ArchiveFormat } from '@atrium/runtime-contract/file-inspection'
import type { ArchiveWriter } from './archive-entry.ts'
import { archiveFailure } from './archive-limits.ts'
import { ArchiveOutflow } from './archive-outflow.ts'
import { type ArchivedFile, type WalkedEntry, walkArchive } from './archive-walk.ts'
import { assertUnchanged } from './assert-unchanged.ts'
import type { Breaking } from './breaking.ts'
import { ClientWatch } from './client-watch.ts'
import { readAt } from './descriptor.ts'
import type { FilePlane } from './file-plane.ts'
import type { OpenedFolder } from './open-contained-folder.ts'
import { TarWriter } from './tar-writer.ts'
import { ZipWriter } from './zip-writer.ts'

export type ArchiveRequest = { readonly path: FolderPath; readonly format: ArchiveFormat }

/**
 * Archives the folder as it is found. What goes wrong before the first bytes are sent is thrown as an
 * AppError: what `ContainedRoots.openFolder` throws, `archive_busy`, `archive_too_large`,
 * `file_forbidden`, `archive_failed`. What goes wrong later rejects without ending the answer, so
 * that nobody takes what arrived for all of it.
 */
export async function serveArchive(
  files: FilePlane,
  request: ArchiveRequest,
  exchange: RawExchange,
): Promise<void> {
  const folder = await files.roots.openFolder(request.path, exchange.signal)
  try {
    if (exchange.incoming.method === 'HEAD') {
      exchange.outgoing.writeHead(200, headersOf(request)).end()
      return
    }
    files.archives.places.take()
    try {
      await sendArchive(files, { ...request, folder }, exchange)
    } finally {
      files.archives.places.give()
    }
  } finally {
    folder.close()
  }
}

type Source = ArchiveRequest & { readonly folder: OpenedFolder }

async function sendArchive(
  files: FilePlane,
  { folder, path, format }: Source,
  { outgoing, signal }: RawExchange,
): Promise<void> {
  const watch = new ClientWatch(signal, files.idleTimeoutMs)
  const { breaking } = watch
  const outflow = new ArchiveOutflow({
    outgoing,
    writeHead: () => writeHead(outgoing, { path, format }),
    isGzip: format === 'tar.gz',
    onProgress: () => watch.progress(),
    breaking,
  })
  const writer = format === 'zip' ? new ZipWriter(outflow) : new TarWriter(outflow, breaking)
  const entries = walkArchive({
    roots: files.roots,
    path,
    folder,
    name: nameOf(path),
    limits: files.archives.limits,
    onStep: () => {
      breaking.throwIfBroken()
      // A long walk over what is left out is no silence of the client.
      watch.progress()
    },
  })
  try {
    await writeEntries(files, { entries, writer, breaking })
    await writer.finish()
    await outflow.end()
  } catch (error) {
    writer.abandon()
    outflow.abandon()
    throw failureOf(error)
  } finally {
    watch.stop()
  }
}

type Writing = {
  readonly entries: AsyncGenerator<WalkedEntry, void>
  readonly writer: ArchiveWriter
  readonly breaking: Breaking
}

async function writeEntries(files: FilePlane, writing: Writing): Promise<void> {
  const pair = [files.buffers.take(), files.buffers.take()] as const
  try {
    for await (const { entry, file } of writing.entries) {
      await writing.writer.begin(entry)
      if (file !== undefined) await writeFile({ entry, file }, writing, pair)
      await writing.writer.finishEntry()
    }
    for (const buffer of pair) files.buffers.give(buffer)
  } catch (error) {
    // A socket that is being torn down may still refer to them.
    for (const buffer of pair) files.buffers.forget(buffer)
    throw error
  }
}

/** The next read goes on while the bytes before it are written. */
async function writeFile(
  { entry, file }: WalkedEntry & { readonly file: ArchivedFile },
  { writer, breaking }: Writing,
  [even, odd]: readonly [Buffer, Buffer],
): Promise<void> {
  let [current, other] = [even, odd]
  let written: Promise<void> = Promise.resolve()
  for (let position = 0; position < file.size; ) {
    const bytes = current.subarray(0, Math.min(current.length, file.size - position))
    await readPiece(file, bytes, position).catch((error: unknown) => {
      throw failureAt(entry.path, error)
    })
    position += bytes.length
    await written
    breaking.throwIfBroken()
    written = writer.write(bytes)
    // Waited for after the next read; what fails until then is nobody's yet.
    written.catch(() => undefined)
    ;[current, other] = [other, current]
  }
  try {
    assertUnchanged(file)
  } catch (error) {
    throw failureAt(entry.path, error)
  }
  await written
}

async function readPiece(file: ArchivedFile, bytes: Buffer, position: number): Promise<void> {
  const length = await readAt(file.fd, bytes, position)
  if (length < bytes.length) throw new Error('the file shrank while it was sent')
}

function writeHead(outgoing: ServerResponse, request: ArchiveRequest): void {
  outgoing.writeHead(200, headersOf(request))
}

function headersOf({ path, format }: ArchiveRequest): Record<string, string> {
  return {
    ...FILE_SECURITY_HEADERS,
    'Content-Type': ARCHIVE_MEDIA_TYPES[format],
    'Content-Disposition': attachmentDisposition(`${nameOf(path)}.${format}`),
  }
}

/** The folder's own name, a root's included. */
function nameOf({ root, segments }: FolderPath): string {
  return segments.at(-1) ?? root
}

/** Of a path that is long, its end says most; for the log, which spells it as a JSON string. */
const MAX_LOGGED_CHARACTERS = 200

function failureAt(path: string, error: unknown): AppError {
  const reason = error instanceof Error ? error.message : 'unknown'
  return archiveFailure(`${reason}: ${path.slice(-MAX_LOGGED_CHARACTERS)}`, error)
}

function failureOf(error: unknown): unknown {
  if (error instanceof AppError) return error
  if (hasErrorCode(error, 'EACCES', 'EPERM'))
    return new AppError('file_forbidden', { cause: error })
  const reason = error instanceof Error ? error.message : (errorCodeOf(error) ?? 'unknown')
  return archiveFailure(reason, error)
}
