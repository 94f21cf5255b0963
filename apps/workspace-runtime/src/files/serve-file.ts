/** @module The answer to one read: conditions, range, head, bytes (contract/runtime 3.2, RFC 9110). */
import type { IncomingMessage } from 'node:http'
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import { attachmentDisposition } from '@atrium/http-kit/content-disposition'
import { contentTypeFor, FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import type { WorkspacePath } from '@atrium/path-safety/workspace-path'
import { type ByteRange, parseByteRange } from './byte-range.ts'
import type { FilePlane } from './file-plane.ts'
import type { OpenedFile } from './open-contained-file.ts'
import { sendFile } from './send-file.ts'
import { isAlreadyKnown, mayAnswerPart, type Validators, validatorsOf } from './validators.ts'

export type ServeFileDeps = { readonly clock: Clock; readonly files: FilePlane }

/**
 * Opens the file, and only then commits to a status (contract/runtime 21 #3): 200, 206 or 304, or
 * throws what `ContainedRoots.open` throws and `range_not_satisfiable`. A file that shrinks
 * or is written over while it is sent, or a client that goes away, rejects after the head.
 */
export async function serveFile(
  deps: ServeFileDeps,
  path: WorkspacePath,
  exchange: RawExchange,
): Promise<void> {
  const file = await deps.files.roots.open(path, exchange.signal)
  try {
    await answer(deps, file, exchange)
  } finally {
    file.close()
  }
}

async function answer(
  deps: ServeFileDeps,
  file: OpenedFile,
  { incoming, outgoing, signal }: RawExchange,
): Promise<void> {
  const now = deps.clock.now()
  const validators = validatorsOf(file, now)
  const headers = commonHeaders(validators)
  if (isAlreadyKnown(incoming.headers['if-none-match'], validators)) {
    outgoing.writeHead(304, { ...FILE_SECURITY_HEADERS, ...headers }).end()
    return
  }
  const part = partOf(incoming, { file, validators, now })
  if (part === 'unsatisfiable') {
    throw new AppError('range_not_satisfiable', {
      headers: { ...headers, 'Content-Range': `bytes */${file.size}` },
    })
  }
  const range = part === 'whole' ? { first: 0, last: file.size - 1 } : part
  const length = range.last + 1 - range.first
  outgoing.writeHead(part === 'whole' ? 200 : 206, {
    ...FILE_SECURITY_HEADERS,
    ...headers,
    'Content-Type': contentTypeFor(file.name),
    'Content-Disposition': attachmentDisposition(file.name),
    'Content-Length': length,
    ...(part === 'whole'
      ? {}
      : { 'Content-Range': `bytes ${range.first}-${range.last}/${file.size}` }),
  })
  if (incoming.method === 'HEAD' || length === 0) {
    outgoing.end()
    return
  }
  const { buffers, idleTimeoutMs } = deps.files
  await sendFile({ file, outgoing, range, buffers, idleTimeoutMs, signal })
}

function commonHeaders({ etag, lastModified }: Validators): Record<string, string> {
  return {
    'Accept-Ranges': 'bytes',
    ETag: etag,
    'Last-Modified': lastModified.toUTCString(),
  }
}

/** RFC 9110 s14.2: "A server MUST ignore a Range header field received with a request method" that has none. */
function partOf(
  { method, headers }: IncomingMessage,
  known: { readonly file: OpenedFile; readonly validators: Validators; readonly now: Date },
): ByteRange | 'whole' | 'unsatisfiable' {
  if (method !== 'GET') return 'whole'
  if (!mayAnswerPart(singleValue(headers['if-range']), known.validators, known.now)) return 'whole'
  return parseByteRange(headers.range, known.file.size)
}

function singleValue(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header
}
