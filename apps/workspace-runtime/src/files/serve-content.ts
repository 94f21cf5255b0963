/**
 * @module A window of an opened file as base64 in JSON (contract/runtime 20.3, download), made while
 * it is sent: what is held does not depend on the window, and a file that is cut or written over
 * meanwhile breaks the connection, as in `serve-file.ts`.
 */
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import type { FileContent } from '@atrium/runtime-contract/file-inspection'
import type { FilePlane } from './file-plane.ts'
import type { OpenedFile } from './open-contained-file.ts'
import { type SentForm, sendFile } from './send-file.ts'
import { versionOf } from './validators.ts'

export type ContentAsked = {
  /** What the answer repeats. */
  readonly path: string
  readonly window: { readonly offset: number; readonly limit: number }
}

const END = '"}'

// Three bytes are four characters: pieces of a multiple are together what the whole would be.
const BASE64: SentForm = {
  pieceBytes: 3 * 16_384,
  encode: (piece) => Buffer.from(piece.toString('base64'), 'latin1'),
  end: END,
}

/** Leaves the file open. Rejects after the head as `sendFile` does. */
export async function serveContent(
  files: Pick<FilePlane, 'buffers' | 'idleTimeoutMs'>,
  file: OpenedFile,
  { path, window, exchange }: ContentAsked & { readonly exchange: RawExchange },
): Promise<void> {
  const { incoming, outgoing, signal } = exchange
  const offset = Math.min(window.offset, file.size)
  const end = Math.min(offset + window.limit, file.size)
  const told = { path, size: file.size, offset, truncated: end < file.size }
  const start = openJson({ ...told, version: versionOf(file) })
  const length = end - offset
  outgoing.writeHead(200, {
    ...FILE_SECURITY_HEADERS,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(start) + 4 * Math.ceil(length / 3) + END.length,
  })
  if (incoming.method === 'HEAD') {
    outgoing.end()
    return
  }
  outgoing.write(start)
  if (length === 0) {
    outgoing.end(END)
    return
  }
  const { buffers, idleTimeoutMs } = files
  const range = { first: offset, last: end - 1 }
  await sendFile({ file, outgoing, range, buffers, idleTimeoutMs, signal, form: BASE64 })
}

/** The object as JSON, up to the first character of its last value. */
function openJson(told: Omit<FileContent, 'content_base64'>): string {
  return `${JSON.stringify(told).slice(0, -1)},"content_base64":"`
}
