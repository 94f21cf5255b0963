/** The soak in small: replicas and workspaces die at random, and what the platform says stays true. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PROJECT_ROOT } from '../support/platform-process.ts'
import { processesMentioning } from '../support/process-figures.ts'
import { runProcess } from '../support/run-process.ts'

const SOAK = join(PROJECT_ROOT, 'scripts/soak/main.ts')
const SMALL = ['--minutes', '1', '--workspaces', '20', '--pace', '4']
/** A minute, and on a busy machine several times that until everything has come back. */
const WITHIN_MS = 10 * 60_000

/** Its alone: another soak of this machine, or what one that failed has left, is not this one's. */
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'atrium-soak-test-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('npm run soak', () => {
  it(
    'finds everything as the platform says after a minute of deaths, and leaves nothing behind',
    async () => {
      const { ATRIUM_TEST_RUN_DIR, ATRIUM_TEST_DATABASE_URL, PATH } = process.env
      const env = { ATRIUM_TEST_RUN_DIR, ATRIUM_TEST_DATABASE_URL, PATH, TMPDIR: folder }
      const { exitCode, stdout, stderr } = await runProcess(process.execPath, [SOAK, ...SMALL], {
        cwd: tmpdir(),
        env: env as Record<string, string>,
      })
      expect([exitCode, stdout]).toEqual([0, expect.stringContaining('as the platform says')])
      expect(stdout).toMatch(/ kill +[1-9]/)
      expect(stderr).toMatch(/all online: yes/)
      expect(processesMentioning(folder)).toEqual([])
      expect(readdirSync(folder)).toEqual([])
    },
    WITHIN_MS,
  )
})
