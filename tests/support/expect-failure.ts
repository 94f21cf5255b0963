/** @module The failure contract of both apps: the words, and what a program needs beside them. */
import { appendFileSync } from 'node:fs'
import { expect } from 'vitest'
import type { Answer } from './raw-client.ts'
import { runLogPath } from './secret-ledger.ts'

export type ExpectedFailure = {
  readonly status: number
  readonly error: string | RegExp
  readonly code: string
  readonly hop: 'platform' | 'workspace'
  readonly retryable?: boolean
  /** Seconds; said twice in the body and once in the header. */
  readonly retryAfter?: number
}

/** Also writes the body down: what clients were told is looked through for secrets as well. */
export function expectFailure(answer: Answer, expected: ExpectedFailure): void {
  const text = answer.body.toString('utf8')
  appendFileSync(log(), `${text}\n`)
  expect(answer.isComplete).toBe(true)
  expect(answer.status, text).toBe(expected.status)
  expect(answer.headers['content-type']).toMatch(/^application\/json\b/)
  const { error, code, hop, retryable = false, retryAfter } = expected
  const body: unknown = JSON.parse(text)
  expect(body).toMatchObject({
    error: typeof error === 'string' ? error : expect.stringMatching(error),
    code,
    hop,
    retryable,
    request_id: answer.headers['x-request-id'],
    ...(retryAfter === undefined ? {} : { retry_after_seconds: retryAfter }),
  })
  expect(answer.headers['x-request-id']).toMatch(/./)
  expect(answer.headers['retry-after']).toBe(
    retryAfter === undefined ? undefined : String(retryAfter),
  )
}

let logPath: string | undefined

function log(): string {
  logPath ??= runLogPath('error-answers')
  return logPath
}
