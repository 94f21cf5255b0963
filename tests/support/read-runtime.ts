/** @module A runtime whose files a test file reads, and what it may answer to that. */
import { createHash } from 'node:crypto'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import { afterAll, beforeAll, expect } from 'vitest'
import { type Answer, errorCode } from './raw-client.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  startRuntimeHarness,
} from './runtime-harness.ts'

export let runtime: RuntimeHarness

/** One for all tests of the calling file, which end with as many open files as they began with. */
export function shareReadRuntime(): void {
  let openBefore: number
  beforeAll(async () => {
    openBefore = openFiles()
    runtime = await startRuntimeHarness()
  })
  afterAll(async () => {
    await runtime.stop()
    await expectOpenFiles(openBefore)
  })
}

function text(answer: Answer): unknown {
  const body: unknown = JSON.parse(answer.body.toString('utf8'))
  return typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined
}

export function expectRefusal(answer: Answer, status: number, error: string, code: string): void {
  expect({ status: answer.status, error: text(answer), code: errorCode(answer) }).toEqual({
    status,
    error,
    code,
  })
}

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
