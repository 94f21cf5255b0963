/** @module Form bodies byte by byte, so that a test can also write a wrong one. */
import { randomBytes } from 'node:crypto'

export type FormPart = {
  readonly field?: string
  /** Absent makes a plain value. */
  readonly filename?: string
  readonly type?: string
  readonly content: string | Uint8Array
}

export type Form = { readonly headers: Record<string, string>; readonly body: Buffer }

/** A well-formed multipart/form-data body; a part's field is `files` unless it says otherwise. */
export function multipartForm(parts: readonly FormPart[]): Form {
  const boundary = `----form${randomBytes(12).toString('hex')}`
  const pieces: Buffer[] = []
  for (const part of parts) pieces.push(partHead(boundary, part), Buffer.from(part.content), CRLF)
  pieces.push(Buffer.from(`--${boundary}--\r\n`))
  return { headers: formHeaders(boundary), body: Buffer.concat(pieces) }
}

const CRLF = Buffer.from('\r\n')

export function partHead(boundary: string, part: Omit<FormPart, 'content'>): Buffer {
  const filename = part.filename === undefined ? '' : `; filename="${part.filename}"`
  const type = part.type === undefined ? '' : `Content-Type: ${part.type}\r\n`
  const disposition = `Content-Disposition: form-data; name="${part.field ?? 'files'}"${filename}`
  return Buffer.from(`--${boundary}\r\n${disposition}\r\n${type}\r\n`)
}

export function formHeaders(boundary: string): Record<string, string> {
  return { 'content-type': `multipart/form-data; boundary=${boundary}` }
}
