/** @module What a runtime may answer to who reads its files. */
import { createHash } from 'node:crypto'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import { expect } from 'vitest'
import type { Answer } from './raw-client.ts'

export const TEXTS = {
  required: 'path query required',
  absolute: 'path must be absolute',
  roots: 'path must be under /configs, /workspace, /home, or /plugins',
  invalid: 'invalid path',
  notRegular: 'path is not a regular file',
  notFound: 'file not found',
} as const

export function expectSecurityHeaders(answer: Answer): void {
  for (const [name, value] of Object.entries(FILE_SECURITY_HEADERS)) {
    expect(answer.headers[name.toLowerCase()]).toBe(value)
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
