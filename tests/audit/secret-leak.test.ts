/**
 * Reads what the whole run has left: every secret that a test made, against every log, every
 * console, the output of the tests themselves and every command line that was seen.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { findBearerValues, findLeaks, type LogText } from '../support/find-leaks.ts'
import { PROCESS_LIST_LOG } from '../support/process-list-sampler.ts'
import { mintedFile } from '../support/secret-ledger.ts'
import { testRunDir } from '../support/test-run.ts'

/** Far below what a full run leaves, far above what a run without harnesses would. */
const MIN_SECRETS = 100
const MIN_LOG_FILES = 20
const MIN_LOG_LINES = 2_000
const MIN_COMMAND_LINES = 50

let logs: LogText[]
let secrets: string[]
const linesIn = (text: string) => text.split('\n').length - 1

// npm test says so when it runs every stage; of a part of them nothing can be concluded.
describe.runIf(process.env['ATRIUM_TEST_AUDIT'] === '1')('the whole test run', () => {
  beforeAll(() => {
    const dir = join(testRunDir(), 'logs')
    logs = readdirSync(dir).map((name) => ({ name, text: readFileSync(join(dir, name), 'utf8') }))
    const minted = readFileSync(mintedFile(), 'utf8').split('\n')
    secrets = [...new Set(minted)].filter((line) => line !== '')
  })

  it('left enough to be audited (this is the last stage of npm test)', () => {
    const lines = logs.reduce((sum, { text }) => sum + linesIn(text), 0)
    expect(secrets.length).toBeGreaterThan(MIN_SECRETS)
    expect(logs.length).toBeGreaterThan(MIN_LOG_FILES)
    expect(lines).toBeGreaterThan(MIN_LOG_LINES)
    process.stdout.write(
      `audited ${secrets.length} secrets in ${logs.length} logs of ${lines} lines\n`,
    )
  })

  it('kept watching the process list', () => {
    const list = logs.filter(({ name }) => name.startsWith(PROCESS_LIST_LOG))
    expect(list.map(({ text }) => linesIn(text))).toEqual([
      expect.toSatisfy((lines: number) => lines > MIN_COMMAND_LINES),
    ])
  })

  it('has logs of the platform, of a workspace, of the database and of the tests', () => {
    for (const kind of ['platform-', 'runtime-', 'postgres-server-', 'stage-e2e-']) {
      if (kind === 'postgres-server-' && process.env['DATABASE_URL'] !== undefined) continue
      expect(logs.map(({ name }) => name)).toContainEqual(expect.stringMatching(`^${kind}`))
    }
  })

  it('printed no secret anywhere', () => {
    expect(findLeaks(secrets, logs)).toEqual([])
  })

  it('printed nothing that looks like one in a log of its own, whoever minted it', () => {
    // What the tests and other programs print has long words of its own.
    const own = logs.filter(({ name }) => /^(?:platform|runtime|postgres-server)-/.test(name))
    expect(own.length).toBeGreaterThan(MIN_LOG_FILES / 2)
    expect(findBearerValues(own)).toEqual([])
  })
})
