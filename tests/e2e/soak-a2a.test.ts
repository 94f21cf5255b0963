/** The soak of messages in small: everything dies at random, and every message ends once. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { PROJECT_ROOT } from '../support/platform-process.ts'
import { processesMentioning } from '../support/process-figures.ts'
import { runProcess } from '../support/run-process.ts'

const SOAK = join(PROJECT_ROOT, 'scripts/soak/main.ts')
const SMALL = ['a2a', '--minutes', '0.2', '--workspaces', '5', '--messages', '100', '--pace', '3']
/** Some seconds, and on a busy machine many times that. */
const WITHIN_MS = 5 * 60_000

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'atrium-soak-a2a-test-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it(
  'npm run soak -- a2a finds every message ended once and known, and leaves nothing behind',
  async () => {
    const { ATRIUM_TEST_RUN_DIR, ATRIUM_TEST_DATABASE_URL, PATH } = process.env
    const env = { ATRIUM_TEST_RUN_DIR, ATRIUM_TEST_DATABASE_URL, PATH, TMPDIR: folder }
    const { exitCode, stdout } = await runProcess(process.execPath, [SOAK, ...SMALL], {
      cwd: tmpdir(),
      env: env as Record<string, string>,
    })
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('every message ended once')])
    expect(stdout).toMatch(/answered +[1-9]/)
    expect(processesMentioning(folder)).toEqual([])
    expect(readdirSync(folder)).toEqual([])
  },
  WITHIN_MS,
)
