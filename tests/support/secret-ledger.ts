/** @module Every secret that a test makes or sees being made, for the audit at the end of the run. */
import { randomBytes } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { testRunDir } from './test-run.ts'

/** Below this a value would be found by accident. */
const MIN_LENGTH = 12

/** Remembers a secret value; the audit fails when it stands in any log of this run. */
export function recordSecret(value: string): void {
  if (value.length < MIN_LENGTH || value.includes('\n')) {
    throw new Error(`a secret of ${value.length} characters cannot be audited`)
  }
  // One short appending write: processes of one run share the file without a lock.
  appendFileSync(mintedFile(), `${value}\n`, { mode: 0o600 })
}

/** A log file of this run that nobody else writes to; `name` says whose it is. */
export function runLogPath(name: string): string {
  return join(testRunDir(), 'logs', `${name}-${process.pid}-${randomBytes(4).toString('hex')}.log`)
}

/** One secret a line. */
export function mintedFile(): string {
  return join(testRunDir(), 'minted.txt')
}
