/**
 * @module The folder of one test run: logs of everything it started, and the secrets it made, so
 * that the audit at the end can look for the second in the first.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PREFIX = 'atrium-test-'
const KEEP_MS = 6 * 60 * 60 * 1000

/** Where this run writes. Throws outside of a run: the global setup or `npm test` makes it. */
export function testRunDir(): string {
  const dir = process.env['ATRIUM_TEST_RUN_DIR']
  if (dir === undefined) throw new Error('ATRIUM_TEST_RUN_DIR is not set: no test run is open')
  return dir
}

/** Makes the folder of a new run, and forgets runs that were killed hours ago. */
export function openTestRun(): string {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue
    const old = join(tmpdir(), name)
    const stat = statSync(old, { throwIfNoEntry: false })
    // Those of other users of this machine are theirs to remove, and we could not.
    if (stat === undefined || stat.uid !== process.getuid?.()) continue
    if (Date.now() - stat.mtimeMs > KEEP_MS) rmSync(old, { recursive: true, force: true })
  }
  const dir = mkdtempSync(join(tmpdir(), PREFIX))
  mkdirSync(join(dir, 'logs'))
  return dir
}

/** Removes the folder of a run. */
export function closeTestRun(dir: string): void {
  rmSync(dir, { recursive: true, force: true })
}
