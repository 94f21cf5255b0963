/** @module A runtime that all tests of a file speak to, and how it refuses. */
import { afterAll, beforeAll, expect } from 'vitest'
import { type Answer, errorCode } from './raw-client.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  type RuntimeOptions,
  startRuntimeHarness,
} from './runtime-harness.ts'

/** Running while the tests of the file run. */
export let runtime: RuntimeHarness

/** One for all tests of the calling file, which end with as many open files as they began with. */
export function shareRuntime(options: RuntimeOptions = {}): void {
  let openBefore: number
  beforeAll(async () => {
    openBefore = openFiles()
    runtime = await startRuntimeHarness(options)
  })
  afterAll(async () => {
    await runtime.stop()
    await expectOpenFiles(openBefore)
  })
}

/** Expects exactly this refusal. */
export function expectRefusal(answer: Answer, status: number, error: string, code: string): void {
  const body: unknown = JSON.parse(answer.body.toString('utf8'))
  const text = typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined
  expect({ status: answer.status, error: text, code: errorCode(answer) }).toEqual({
    status,
    error,
    code,
  })
}
