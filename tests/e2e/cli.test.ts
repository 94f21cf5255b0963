import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PlatformProcess, PROJECT_ROOT, startPlatform } from '../support/platform-process.ts'
import { type ProcessResult, runProcess } from '../support/run-process.ts'

const TOOL = join(PROJECT_ROOT, 'examples/csv-report/report.mjs')
const DATA = join(PROJECT_ROOT, 'examples/data')

let platform: PlatformProcess
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atrium-cli-e2e-'))
  platform = await startPlatform()
  const exec = ['--runtime', 'exec', '--command', process.execPath, '--arg', TOOL]
  for (const args of [
    ['mirror', '--runtime', 'echo'],
    ['csv', ...exec],
  ]) {
    const run = await atrium('workspaces', 'create', ...args)
    if (run.exitCode !== 0) throw new Error(run.stderr)
  }
})
afterAll(async () => {
  await platform?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** The real bin as a process; it finds the platform through its data folder, like a user's does. */
function atrium(...args: readonly string[]): Promise<ProcessResult> {
  const bin = join(PROJECT_ROOT, 'apps/cli/bin/atrium.mjs')
  const env = { ATRIUM_DATA_DIR: platform.dataDir }
  return runProcess(process.execPath, [bin, ...args], { cwd: folder, env })
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

describe('atrium against a real platform', () => {
  it('lists what was created, online', async () => {
    const run = await atrium('workspaces', 'ls', '--json')
    const rows = JSON.parse(run.stdout)
    expect(rows).toHaveLength(2)
    expect(rows).toContainEqual(
      expect.objectContaining({ name: 'csv', status: 'online', runtime: 'exec' }),
    )
  })

  it('uploads and downloads byte for byte, whatever the name', async () => {
    const content = randomBytes(5 * 1024 * 1024 + 3)
    await writeFile(join(folder, 'weird;$name`.bin'), content)
    const up = await atrium('upload', 'mirror', 'weird;$name`.bin', '--json')
    expect(up.stderr).toBe('')
    const [file] = JSON.parse(up.stdout).files
    expect(file).toMatchObject({ name: 'weird__name_.bin', size: content.length, verified: true })
    expect(file.sha256).toBe(sha256(content))
    const down = await atrium('download', 'mirror', file.uri, '-o', 'back.bin', '--json')
    expect(JSON.parse(down.stdout).sha256).toBe(file.sha256)
    expect((await readFile(join(folder, 'back.bin'))).equals(content)).toBe(true)
  })

  it('sends a message with files and saves what the agent wrote', async () => {
    const csv = join(DATA, 'measurements.csv')
    const png = join(DATA, 'landscape.png')
    const run = await atrium(
      ...['send', 'csv', 'report, and return a copy of each', '--file', csv, '--file', png],
      ...['--out', 'answer', '--json'],
    )
    expect(run.stderr).toBe('')
    const reply = JSON.parse(run.stdout)
    expect(reply.text).toContain('measurements.csv: 2016 rows')
    expect((await readdir(join(folder, 'answer'))).toSorted()).toEqual([
      'copy-of-landscape.png',
      'copy-of-measurements.csv',
      'landscape-thumbnail.png',
      'measurements-clean.csv',
      'measurements-summary.md',
    ])
    const copy = await readFile(join(folder, 'answer', 'copy-of-landscape.png'))
    expect(sha256(copy)).toBe(sha256(await readFile(png)))
  })

  it('streams an answer', async () => {
    const run = await atrium('send', 'mirror', 'say this back', '--stream')
    expect(run.stderr).toBe('')
    expect(run.stdout).toContain('say this back')
  })

  it('shows the log of a workspace', async () => {
    const run = await atrium('workspaces', 'logs', 'csv', '--tail', '5')
    expect(run.exitCode).toBe(0)
    expect(run.stdout.trim()).not.toBe('')
  })

  it('ends with 3 for what is not there, with 1 for what is refused', async () => {
    const absent = await atrium('download', 'mirror', '/workspace/absent.txt', '--json')
    expect(absent.exitCode).toBe(3)
    expect(JSON.parse(absent.stderr)).toMatchObject({ code: 'file_not_found' })
    expect((await atrium('download', 'mirror', '/etc/passwd')).exitCode).toBe(1)
    expect((await atrium('download', 'mirror', '/configs/.auth_token')).exitCode).toBe(3)
    expect((await atrium('upload', 'nobody', 'back.bin')).exitCode).toBe(3)
    const tooLarge = join(folder, 'large.bin')
    await writeFile(tooLarge, Buffer.alloc(26 * 1024 * 1024))
    const refused = await atrium('upload', 'mirror', tooLarge)
    expect(refused.stderr).toContain('large.bin exceeds per-file limit (25 MB)')
    expect(refused.exitCode).toBe(1)
  })

  it('removes a workspace', async () => {
    expect((await atrium('workspaces', 'rm', 'mirror')).exitCode).toBe(0)
    const rows = JSON.parse((await atrium('workspaces', 'ls', '--json')).stdout)
    expect(rows.map((row: { name: string }) => row.name)).toEqual(['csv'])
  })
})
