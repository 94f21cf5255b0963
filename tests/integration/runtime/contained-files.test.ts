import { spawnSync } from 'node:child_process'
import { createHash, pbkdf2 } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { AppError } from '@atrium/http-kit/app-error'
import { parseWorkspacePath, type WorkspacePath } from '@atrium/path-safety/workspace-path'
import { UPLOADS_DIR } from '@atrium/runtime-contract/file-transfer'
import { describe, expect, it } from 'vitest'
import { ContainedRoots } from '../../../apps/workspace-runtime/src/files/contained-roots.ts'
import { publishByRename } from '../../../apps/workspace-runtime/src/files/publish-name.ts'
import { storeOpenedFile } from '../../../apps/workspace-runtime/src/files/store-opened-file.ts'
import { TemporaryFile } from '../../../apps/workspace-runtime/src/files/temporary-file.ts'
import { eventually } from '../../support/eventually.ts'
import { expectOpenFiles, openFiles, startRuntimeHarness } from '../../support/runtime-harness.ts'
import { runtime, shareRuntime } from '../../support/shared-runtime.ts'

shareRuntime()

function wire(path: string): WorkspacePath {
  const verdict = parseWorkspacePath([path])
  if (!verdict.ok) throw new Error(verdict.code)
  return verdict.path
}

const derive = promisify(pbkdf2)

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd)
    return true
  } catch {
    return false
  }
}

describe('ContainedRoots.pin', () => {
  const directories = (base: string) => ({
    configs: join(base, 'configs'),
    workspace: join(base, 'workspace'),
    home: join(base, 'home'),
    plugins: join(base, 'plugins'),
  })

  it('takes a root that is a symlink, because the operator chose it', async () => {
    runtime.place('/outside/chosen/file.txt', 'chosen')
    const base = mkdtempSync(join(tmpdir(), 'atrium-roots-'))
    symlinkSync(runtime.local('/outside/chosen'), join(base, 'workspace'))
    const roots = ContainedRoots.pin(directories(base), base)
    const file = await roots.open(wire('/workspace/file.txt'))
    expect([file.name, file.size]).toEqual(['file.txt', 6])
    file.close()
    roots.close()
    rmSync(base, { recursive: true })
  })

  it('serves below the root of the file system', async () => {
    const path = runtime.place('/workspace/from-the-top.txt', 'top')
    const top = { configs: '/absent', home: '/absent', plugins: '/absent', workspace: '/' }
    const roots = ContainedRoots.pin(top, '/absent')
    const file = await roots.open(wire(`/workspace${path}`))
    expect(file.size).toBe(3)
    file.close()
    roots.close()
  })

  it('refuses to start on a root that is a file, and keeps nothing open', () => {
    const base = mkdtempSync(join(tmpdir(), 'atrium-roots-'))
    writeFileSync(join(base, 'workspace'), '')
    const before = openFiles()
    expect(() => ContainedRoots.pin(directories(base), base)).toThrow(/cannot be opened/)
    expect(openFiles()).toBe(before)
    rmSync(base, { recursive: true })
  })

  it('refuses to start where /proc is not mounted', ({ skip }) => {
    const base = mkdtempSync(join(tmpdir(), 'atrium-roots-'))
    mkdirSync(join(base, 'workspace'))
    const child = fileURLToPath(new URL('../../support/runtime-child.ts', import.meta.url))
    const hidden = 'mount -t tmpfs none /proc || exit 99; exec "$@"'
    const namespace = process.geteuid?.() === 0 ? '-m' : '-rm'
    const shell = ['sh', '-c', hidden, 'sh', process.execPath, child, base]
    // One that does start serves until it is ended.
    const patience = { encoding: 'utf8', timeout: 15_000, killSignal: 'SIGKILL' } as const
    const ended = spawnSync('unshare', [namespace, ...shell], patience)
    rmSync(base, { recursive: true })
    const isRefused = ended.status === 99 || ended.stderr?.startsWith('unshare:')
    const isAbsent =
      ended.error !== undefined && 'code' in ended.error && ended.error.code === 'ENOENT'
    if (isAbsent || isRefused) skip('namespaces are not allowed here')
    expect(ended.status).not.toBe(0)
    expect(ended.stderr).toContain('file access needs a mounted /proc')
  })

  it('keeps serving what it pinned when the name of a root is given to something else', async () => {
    const base = mkdtempSync(join(tmpdir(), 'atrium-roots-'))
    runtime.place('/outside/decoy/file.txt', 'decoy')
    const own = await startRuntimeHarness({ base })
    try {
      own.place('/home/file.txt', 'mine')
      rmSync(own.local('/home'), { recursive: true })
      symlinkSync(runtime.local('/outside/decoy'), own.local('/home'))
      expect((await own.read('/home/file.txt')).status).toBe(404)
    } finally {
      await own.stop()
      rmSync(base, { recursive: true })
    }
  })
})

describe('ContainedRoots.open', () => {
  it('gives a descriptor that stays the file that was judged', async () => {
    const path = runtime.place('/workspace/judged.txt', 'judged')
    const file = await runtime.files.roots.open(wire('/workspace/judged.txt'))
    rmSync(path)
    symlinkSync('/etc/passwd', path)
    const buffer = Buffer.alloc(6)
    expect(readSync(file.fd, buffer, 0, 6, 0)).toBe(6)
    expect(buffer.toString()).toBe('judged')
    file.close()
    rmSync(path)
  })

  it('closes once, however often it is told to', async () => {
    runtime.place('/workspace/closed.txt')
    const before = openFiles()
    const file = await runtime.files.roots.open(wire('/workspace/closed.txt'))
    file.close()
    // The number is somebody else's by now; closing it again would close theirs.
    const other = openSync(runtime.local('/workspace/closed.txt'), 'r')
    file.close()
    expect(() => closeSync(other)).not.toThrow()
    await expectOpenFiles(before)
  })

  it('opens nothing for somebody who is gone already', async () => {
    runtime.place('/workspace/late.txt')
    const before = openFiles()
    const reason = new Error('gone')
    const opening = runtime.files.roots.open(wire('/workspace/late.txt'), AbortSignal.abort(reason))
    await expect(opening).rejects.toBe(reason)
    await expectOpenFiles(before)
  })

  it.each([
    ['/workspace/none/x', 'file_not_found'],
    ['/configs/.auth_token', 'file_not_found'],
    ['/workspace/a-link', 'not_a_regular_file'],
  ])('says why %s cannot be opened: %s', async (path, code) => {
    rmSync(runtime.local('/workspace/a-link'), { force: true })
    symlinkSync('/etc/passwd', runtime.local('/workspace/a-link'))
    const failure = await runtime.files.roots.open(wire(path)).catch((error: AppError) => error)
    expect(failure).toMatchObject({ code })
  })
})

describe('storeOpenedFile', () => {
  it('copies an opened file into the upload folder and describes it', async () => {
    const content = Buffer.alloc(1_500_000, 'agent output ')
    runtime.place('/workspace/job/output/chart.png', content)
    const before = openFiles()
    const source = await runtime.files.roots.open(wire('/workspace/job/output/chart.png'))
    const stored = await storeOpenedFile(runtime.files.uploads, source, {
      description: { name: 'my chart.png', mimeType: undefined },
    })
    source.close()
    expect(stored).toMatchObject({ name: 'my_chart.png', mimeType: 'image/png', size: 1_500_000 })
    rmSync(runtime.local('/workspace/job'), { recursive: true })
    const answer = await runtime.read(stored.uri.replace('workspace:', ''))
    expect(answer.body.equals(content)).toBe(true)
    await expectOpenFiles(before)
  })

  it('copies what was there at the start, though its maker goes on writing', async () => {
    const path = runtime.place('/workspace/written-on.log', Buffer.alloc(1_000_000, 'line '))
    const source = await runtime.files.roots.open(wire('/workspace/written-on.log'))
    const storing = storeOpenedFile(runtime.files.uploads, source, {
      description: { name: 'written-on.log', mimeType: undefined },
    })
    appendFileSync(path, 'more')
    const stored = await storing
    source.close()
    expect(stored.size).toBe(1_000_000)
  })

  it('leaves nothing behind when it is told to stop', async () => {
    runtime.place('/workspace/stopped.bin', Buffer.alloc(1_000_000))
    const stored = runtime.stored()
    const before = openFiles()
    const source = await runtime.files.roots.open(wire('/workspace/stopped.bin'))
    const storing = storeOpenedFile(runtime.files.uploads, source, {
      description: { name: 'stopped.bin', mimeType: undefined },
      signal: AbortSignal.abort(new Error('cancelled')),
    })
    await expect(storing).rejects.toThrow('cancelled')
    source.close()
    expect(runtime.stored()).toEqual(stored)
    await expectOpenFiles(before)
  })
})

describe('TemporaryFile', () => {
  it('keeps the order of its pieces, though nobody waits for it', async () => {
    mkdirSync(runtime.local('/workspace/pieces'))
    const directory = openSync(runtime.local('/workspace/pieces'), 'r')
    const file = await TemporaryFile.create(directory, 'pieces.part')
    try {
      const pieces = Array.from({ length: 60 }, (_, index) => Buffer.alloc(300_000, index))
      const expected = Buffer.concat(pieces)
      const waits = pieces.map((piece) => file.append(piece))
      const digest = await file.finish({ isFsyncOn: false })
      await Promise.all(waits)
      const written = readFileSync(runtime.local('/workspace/pieces/pieces.part'))
      expect(written.equals(expected)).toBe(true)
      expect(digest).toBe(createHash('sha256').update(written).digest('hex'))
    } finally {
      await file.dispose()
      closeSync(directory)
    }
  })

  it('writes nothing any more once it was disposed of: the number is somebody else’s', async () => {
    mkdirSync(runtime.local('/workspace/disposed'))
    const directory = openSync(runtime.local('/workspace/disposed'), 'r')
    const file = await TemporaryFile.create(directory, 'disposed.part')
    const waits = [file.append(Buffer.alloc(600_000)), file.append(Buffer.alloc(600_000))]
    // Every thread is busy for a while, so that a second write would come after the closing.
    const busy = Array.from({ length: 4 }, () => derive('x', 'y', 300_000, 64, 'sha512'))
    const disposed = file.dispose()
    await eventually(() => !isOpen(file.fd))
    const other = openSync(runtime.local('/workspace/disposed/other'), 'w')
    await Promise.allSettled([...waits, ...busy, disposed])
    expect(fstatSync(other).size).toBe(0)
    closeSync(other)
    closeSync(directory)
  })
})

describe('publishByRename, where a file system has no hard links', () => {
  it('gives the name, and takes none that is somebody else’s', async () => {
    const folder = runtime.local(UPLOADS_DIR)
    runtime.place(`${UPLOADS_DIR}/hidden-1`, 'first')
    runtime.place(`${UPLOADS_DIR}/hidden-2`, 'second')
    const directory = openSync(folder, 'r')
    try {
      const publish = (temporaryName: string) =>
        publishByRename({ directory, temporaryName, finalName: 'shown' })
      expect(await publish('hidden-1')).toBe(true)
      expect(await publish('hidden-2')).toBe(false)
      expect(readFileSync(join(folder, 'shown'), 'utf8')).toBe('first')
      expect(readFileSync(join(folder, 'hidden-2'), 'utf8')).toBe('second')
      symlinkSync(runtime.local('/configs/made'), join(folder, 'dangling'))
      expect(
        await publishByRename({ directory, temporaryName: 'hidden-2', finalName: 'dangling' }),
      ).toBe(false)
      await expect(
        publishByRename({ directory, temporaryName: 'gone', finalName: 'never' }),
      ).rejects.toThrow('ENOENT')
      expect(runtime.stored()).not.toContain('never')
    } finally {
      closeSync(directory)
    }
  })
})
