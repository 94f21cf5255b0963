/** The soak in small: replicas and workspaces die at random, and what the platform says stays true. */
import { readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PROJECT_ROOT } from '../support/platform-process.ts'
import { runProcess } from '../support/run-process.ts'

const SOAK = join(PROJECT_ROOT, 'scripts/soak/main.ts')
const SMALL = ['--minutes', '1', '--workspaces', '20', '--pace', '4']
/** A minute, and on a busy machine several times that until everything has come back. */
const WITHIN_MS = 10 * 60_000

function soakingProcesses(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes('\0ATRIUM_SOAK=')
    } catch {
      // No process, or one that has ended.
      return false
    }
  })
}

describe('npm run soak', () => {
  it(
    'finds everything as the platform says after a minute of deaths, and leaves nothing behind',
    async () => {
      const { ATRIUM_TEST_RUN_DIR, ATRIUM_TEST_DATABASE_URL, PATH } = process.env
      const env = { ATRIUM_TEST_RUN_DIR, ATRIUM_TEST_DATABASE_URL, PATH }
      const { exitCode, stdout, stderr } = await runProcess(process.execPath, [SOAK, ...SMALL], {
        cwd: tmpdir(),
        env: env as Record<string, string>,
      })
      expect([exitCode, stdout]).toEqual([0, expect.stringContaining('as the platform says')])
      expect(stdout).toMatch(/ kill +[1-9]/)
      expect(stderr).toMatch(/all online: yes/)
      expect(soakingProcesses()).toEqual([])
      const folders = readdirSync(tmpdir()).filter((name) => name.startsWith('atrium-soak-'))
      expect(folders).toEqual([])
    },
    WITHIN_MS,
  )
})
