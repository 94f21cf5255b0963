/** `atrium files` against a real platform: archives of a runtime, and sessions on a job-control host. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ARCHIVE_FORMATS } from '@atrium/runtime-contract/file-inspection'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { contentOf, unpacked } from '../../support/archive-api.ts'
import { provideInspectedRuntime, runtime, workspace } from '../../support/inspected-runtime.ts'
import { ADMIN_TOKEN } from '../../support/platform-harness.ts'
import { findPython } from '../../support/pseudo-terminals.ts'
import { type ShellctlScene, startShellctlScene } from '../../support/session-scene.ts'
import { platform } from '../../support/shared-platform.ts'
import { cli, temporaryFolder } from './cli-harness.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(async () => {
  await folder.remove()
})

const files = (url: string, ...args: readonly string[]) =>
  cli(['files', ...args], { env: { ATRIUM_URL: url, ADMIN_TOKEN }, cwd: folder.path })
const saved = (name: string) => readFile(join(folder.path, name))

describe('atrium files tar, of a runtime', () => {
  provideInspectedRuntime()

  it.each(ARCHIVE_FORMATS)('brings a whole %s', async (format) => {
    runtime.place('/workspace/reports/sub/a.md', 'one')
    runtime.place('/workspace/reports/b.bin', randomBytes(200_000))
    const { exitCode, stderr } = await files(
      platform.url,
      ...['tar', `${workspace.id}:reports`, '-o', `r.${format}`],
    )
    expect([exitCode, stderr]).toEqual([0, ''])
    const expected = contentOf(runtime.local('/workspace'))
    await unpacked(await saved(`r.${format}`), format, ({ content }) =>
      expect(content).toEqual(expected),
    )
  })
})

const python = findPython()

describe.skipIf(python === undefined)('atrium files --session, over job control', () => {
  const SESSION = ['--session', '3f2a91b']
  const CONTENT = randomBytes(200_000)
  let scene: ShellctlScene
  beforeAll(async () => {
    scene = await startShellctlScene(python ?? '')
    mkdirSync(join(scene.sessions, '3f2a91b', 'sub'), { recursive: true })
    writeFileSync(join(scene.sessions, '3f2a91b', 'result.bin'), CONTENT)
    writeFileSync(join(scene.sessions, '3f2a91b', 'sub', 'notes.md'), 'one\ntwo\n')
  })
  afterEach(() => scene.expectQuiet())
  afterAll(() => scene.stop())

  const session = (command: string, path: string, ...args: readonly string[]) =>
    files(scene.platform.url, command, `${scene.workspaceId}:${path}`, ...SESSION, ...args)

  it('lists a folder and prints a file', async () => {
    const { exitCode, stdout, stderr } = await session('ls', '', '-F')
    expect([exitCode, stdout, stderr]).toEqual([0, 'result.bin\nsub/\n', ''])
    expect((await session('cat', 'sub/notes.md')).stdout).toBe('one\ntwo\n')
    expect((await session('cat', 'sub/notes.md', '--tail', '4')).stdout).toBe('two\n')
    expect((await session('cat', 'absent')).exitCode).toBe(3)
  })

  it('fetches a file, byte for byte', async () => {
    const { exitCode, stderr } = await session('get', 'result.bin')
    expect([exitCode, stderr]).toEqual([0, ''])
    expect((await saved('result.bin')).equals(CONTENT)).toBe(true)
  })
})
