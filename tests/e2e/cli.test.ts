import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PlatformProcess, PROJECT_ROOT, startPlatform } from '../support/platform-process.ts'
import { type ProcessResult, runProcess } from '../support/run-process.ts'

const TOOL = join(PROJECT_ROOT, 'examples/csv-report/report.mjs')
const DATA = join(PROJECT_ROOT, 'examples/data')

let platform: PlatformProcess
let folder: string
let mirrorId: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atrium-cli-e2e-'))
  platform = await startPlatform({ env: { ATRIUM_ARCHIVE_MAX_DEPTH: '2' } })
  const exec = ['--runtime', 'exec', '--command', process.execPath, '--arg', TOOL]
  for (const args of [
    ['mirror', '--runtime', 'echo'],
    ['csv', ...exec],
  ]) {
    const run = await atrium('workspaces', 'create', ...args)
    if (run.exitCode !== 0) throw new Error(run.stderr)
    if (args[0] === 'mirror') mirrorId = run.stdout.split(' ')[0] ?? ''
  }
})
afterAll(async () => {
  await platform?.stop()
  await rm(folder, { recursive: true, force: true })
})

const BIN = join(PROJECT_ROOT, 'apps/cli/bin/atrium.mjs')

/** The real bin as a process; it finds the platform through its data folder, like a user's does. */
function atrium(...args: readonly string[]): Promise<ProcessResult> {
  const env = { ATRIUM_DATA_DIR: platform.dataDir }
  return runProcess(process.execPath, [BIN, ...args], { cwd: folder, env })
}

/** A script of bash, in which `atrium` is that bin. */
function bash(script: string): Promise<ProcessResult> {
  const define = `atrium() { '${process.execPath}' '${BIN}' "$@"; }`
  const env = { ATRIUM_DATA_DIR: platform.dataDir }
  return runProcess('bash', ['-c', `${define}\nset -o pipefail\n${script}`], { cwd: folder, env })
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
})

describe('atrium files against a real platform', () => {
  const SESSION = '0a1b2c3'
  const HOSTILE = '$(touch pwned);\u001b[2J'
  const BINARY = randomBytes(9 * 1024 * 1024 + 11)

  beforeAll(async () => {
    const root = join(platform.dataDir, 'workspaces', mirrorId, 'workspace')
    await mkdir(join(root, 'sub', 'deep'), { recursive: true })
    await writeFile(join(root, 'sub', 'notes.md'), 'one\ntwo\nthree\n', { mode: 0o644 })
    await writeFile(join(root, 'sub', HOSTILE), '')
    await writeFile(
      join(root, 'sub', 'deep', 'wide'),
      Buffer.from('\ufeffwide \u00e9\n', 'utf16le'),
    )
    await symlink('/etc/passwd', join(root, 'sub', 'link'))
    await mkdir(join(root, 'three', 'folders', 'deep'), { recursive: true })
    await mkdir(join(root, 'many'))
    const names = Array.from({ length: 1200 }, (_, number) => `file-${1000 + number}`)
    await Promise.all(names.map((name) => writeFile(join(root, 'many', name), '')))
    await mkdir(join(root, SESSION))
    await writeFile(join(root, SESSION, 'result.bin'), BINARY)
    await symlink('result.bin', join(root, SESSION, 'latest'))
  })

  it('lists what is there, and every page of it', async () => {
    const list = await atrium('files', 'ls', '-lF', 'mirror:sub/')
    expect([list.exitCode, list.stderr]).toEqual([0, ''])
    const [hostile, deep, link, notes, end] = list.stdout.split('\n')
    expect(hostile?.endsWith(`  ${HOSTILE}`)).toBe(true)
    expect(deep).toMatch(/^drwx.* {2}deep\/$/)
    expect(link).toMatch(/^lrwxrwxrwx +11 B .* {2}link@$/)
    expect(notes).toMatch(/^-rw-r--r-- +14 B {2}20\d\d-\d\d-\d\d \d\d:\d\d {2}notes\.md$/)
    expect(end).toBe('')
    const { stdout } = await bash('atrium files ls mirror:many | tee all | sort -uc && wc -l < all')
    expect(stdout.trim()).toBe('1200')
  })

  it('shows a file, or a part of its text', async () => {
    const { stdout } = await atrium('files', 'cat', 'mirror:sub/notes.md')
    expect(stdout).toBe('one\ntwo\nthree\n')
    const wide = await atrium('files', 'cat', 'mirror:sub/deep/wide', '--json')
    expect(JSON.parse(wide.stdout)).toMatchObject({ encoding: 'utf-16le', text: 'wide \u00e9\n' })
  })

  it('fetches a file of a session in windows, through a link', async () => {
    const args = ['mirror:latest', '--session', SESSION, '-o', 'r.bin', '--json']
    const got = await atrium('files', 'get', ...args)
    expect(got.stderr).toBe('')
    expect(JSON.parse(got.stdout)).toMatchObject({ size: BINARY.length, sha256: sha256(BINARY) })
    expect((await readFile(join(folder, 'r.bin'))).equals(BINARY)).toBe(true)
  })

  it('packs a folder into a pipe', async () => {
    const piped = await bash(
      'mkdir out && atrium files tar mirror:sub -o - | tar -x -C out && find out -type f -or -type l',
    )
    expect([piped.exitCode, piped.stderr]).toEqual([0, ''])
    expect(piped.stdout).toMatch(/\/notes\.md$/m)
    expect(piped.stdout).toMatch(/\/deep\/wide$/m)
    expect(piped.stdout).not.toMatch(/\/link$/m)
  })

  it('refuses an archive that is more than the platform lets its workspaces make', async () => {
    const run = await atrium('files', 'tar', 'mirror:three', '--json')
    expect([run.exitCode, JSON.parse(run.stderr).code]).toEqual([1, 'archive_too_large'])
  })

  it('shows nothing of what is outside', async () => {
    const run = await atrium('files', 'cat', 'mirror:../../etc/passwd', '--session', SESSION)
    expect([run.exitCode, run.stdout]).toEqual([1, ''])
  })

  it('completes in bash as docs/guides/files.md has it, and runs nothing that a name says', async () => {
    const guide = await readFile(join(PROJECT_ROOT, 'docs/guides/files.md'), 'utf8')
    const snippet = /```bash\n(_atrium_files\(\)[\s\S]*?)```/.exec(guide)?.[1] ?? 'exit 1'
    const run = await bash(`${snippet}
      for COMP_LINE in 'files ls mi' 'files cat mirror:sub/'; do
        COMP_LINE="atrium $COMP_LINE"; COMP_POINT=\${#COMP_LINE}; _atrium_files
        printf '%s\\n' "\${COMPREPLY[@]}"
      done`)
    expect(run.stderr).toBe('')
    const [workspace, hostile = '', ...rest] = run.stdout.split('\n')
    expect(workspace).toBe('mirror:')
    expect(rest).toEqual(['sub/deep/', 'sub/link', 'sub/notes.md', ''])
    expect((await bash(`printf %s ${hostile}`)).stdout).toBe(`sub/${HOSTILE}`)
    expect(await readdir(folder)).not.toContain('pwned')
  })
})

describe('atrium workspaces rm', () => {
  it('removes a workspace', async () => {
    expect((await atrium('workspaces', 'rm', 'mirror')).exitCode).toBe(0)
    const rows = JSON.parse((await atrium('workspaces', 'ls', '--json')).stdout)
    expect(rows.map((row: { name: string }) => row.name)).toEqual(['csv'])
  })
})
