import { execFileSync } from 'node:child_process'
import {
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { findAppError } from '@atrium/http-kit/app-error'
import { isSessionId, parseSessionPath } from '@atrium/path-safety/session-path'
import { INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ContainedRoots } from '../../../apps/workspace-runtime/src/files/contained-roots.ts'
import { expectOpenFiles, openFiles } from '../../support/runtime-harness.ts'

const SESSION = 'abc1234'
// 5000 for the acceptance run.
const TREES = Number(process.env['ATRIUM_INSPECTOR_TREES'] ?? 15)

let openBefore: number
let base: string
let roots: ContainedRoots

beforeAll(() => {
  openBefore = openFiles()
  base = realpathSync(mkdtempSync(join(tmpdir(), 'atrium-session-')))
  for (const root of ['configs', 'workspace', 'home', 'plugins']) mkdirSync(join(base, root))
  place(join(base, 'configs', INBOUND_SECRET_FILE))
  place(inside('file'))
  place(join(base, 'workspace/abc1234x/file'))
  place(join(base, 'workspace/def5678/file'))
  roots = pinRoots(join(base, 'workspace'))
})

afterAll(async () => {
  roots.close()
  rmSync(base, { recursive: true, force: true })
  await expectOpenFiles(openBefore)
})

function pinRoots(workspace: string): ContainedRoots {
  const [configs, home, plugins] = ['configs', 'home', 'plugins'].map((root) => join(base, root))
  if (configs === undefined || home === undefined || plugins === undefined) throw new Error('roots')
  return ContainedRoots.pin({ configs, workspace, home, plugins }, configs)
}

function inside(path: string): string {
  return join(base, 'workspace', SESSION, path)
}

function place(path: string, content = 'content'): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

function link(path: string, target: string | Buffer): void {
  mkdirSync(dirname(inside(path)), { recursive: true })
  symlinkSync(target, inside(path))
}

type Asked = { readonly path: string; readonly session?: string; readonly from?: ContainedRoots }

/** The inode that was opened, or the code of the refusal. */
async function open(kind: 'file' | 'folder', asked: Asked): Promise<bigint | string> {
  const { path, session = SESSION, from = roots } = asked
  const verdict = parseSessionPath([path])
  if (!isSessionId(session) || !verdict.ok) throw new Error('not for the runtime')
  const target = { session, path: verdict.path }
  try {
    const opened =
      kind === 'file' ? await from.openSessionFile(target) : await from.openSessionFolder(target)
    try {
      return fstatSync(opened.fd, { bigint: true }).ino
    } finally {
      opened.close()
    }
  } catch (error) {
    const refusal = findAppError(error)
    if (refusal === undefined) throw error
    return `${refusal.code}: ${refusal.publicText}`
  }
}

const inodeOf = (path: string): bigint => statSync(path, { bigint: true }).ino
const NOT_FOUND = 'not_found: path not found in workspace'
const ESCAPES = 'path_escape: path escapes the workspace'

describe('a path in the folder of a session', () => {
  it('names files and folders, and the folder itself', async () => {
    place(inside('kinds/a/b'))
    expect(await open('file', { path: 'kinds/a/b' })).toBe(inodeOf(inside('kinds/a/b')))
    expect(await open('folder', { path: 'kinds//a/' })).toBe(inodeOf(inside('kinds/a')))
    expect(await open('folder', { path: '' })).toBe(inodeOf(inside('.')))
  })

  it('tells what is not what was asked for', async () => {
    execFileSync('mkfifo', [inside('fifo')])
    expect(await open('file', { path: '.' })).toBe('is_a_directory: path is a directory')
    expect(await open('folder', { path: 'file' })).toBe('not_a_directory: path is not a directory')
    expect(await open('folder', { path: 'fifo' })).toBe('not_a_directory: path is not a directory')
    expect(await open('file', { path: 'fifo' })).toBe(
      'not_a_regular_file: path is not a regular file',
    )
    expect(await open('file', { path: 'file/x' })).toBe(NOT_FOUND)
    expect(await open('file', { path: 'nothing' })).toBe(NOT_FOUND)
  })

  it('is in no session that is not there, nor behind a link in its place, nor in a file', async () => {
    symlinkSync(SESSION, join(base, 'workspace/1111111'))
    place(join(base, 'workspace/2222222'))
    for (const session of ['0000000', '1111111', '2222222']) {
      expect(await open('folder', { path: '.', session })).toBe(
        'workspace_not_found: workspace does not exist',
      )
    }
  })

  it('follows links that stay inside, or come back', async () => {
    place(inside('links/real/file'))
    for (const [name, target] of [
      ['relative', 'real'],
      ['absolute', inside('links/real')],
      ['round', `../../${SESSION}/links/real`],
      ['far', `../../../../../../../../../..${inside('links/real')}`],
      ['chain', 'absolute'],
    ] as const) {
      link(`links/${name}`, target)
      const found = await open('file', { path: `links/${name}/file` })
      expect(found, name).toBe(inodeOf(inside('links/real/file')))
    }
  })

  it.each([
    ['/etc/passwd'],
    ['..'],
    ['../def5678/file'],
    ['../abc1234x/file'],
    ['../nothing'],
    ['/'],
    ['/proc/self/root/etc/passwd'],
  ])('leads nowhere by a link to %s', async (target) => {
    rmSync(inside('out'), { force: true })
    link('out', target)
    expect(await open('file', { path: 'out' })).toBe(ESCAPES)
    expect(await open('folder', { path: 'out' })).toBe(ESCAPES)
    expect(await open('file', { path: 'out/x' })).toBe(ESCAPES)
  })

  it('finds nothing behind a dangling link and in a loop', async () => {
    link('dangling', 'nowhere')
    link('loop', 'loop')
    link('one', 'two')
    link('two', 'one')
    for (const path of ['dangling', 'loop', 'one/x']) {
      expect(await open('file', { path })).toBe(NOT_FOUND)
    }
  })

  it('follows a link whose target is no UTF-8', async () => {
    const name = Buffer.from([0x66, 0xff, 0x80])
    writeFileSync(Buffer.concat([Buffer.from(inside('')), Buffer.from('/'), name]), 'content')
    link('bytes', name)
    expect(await open('file', { path: 'bytes' })).toBeTypeOf('bigint')
  })

  it('has no unfinished uploads and no credential, by whatever link', async () => {
    const upload = `.up-${'0'.repeat(24)}.part`
    place(inside(`hidden/${upload}`))
    link('hidden/to-upload', upload)
    linkSync(join(base, 'configs', INBOUND_SECRET_FILE), inside('hidden/secret'))
    link('hidden/to-secret', 'secret')
    for (const name of [upload, 'to-upload', 'secret', 'to-secret']) {
      expect(await open('file', { path: `hidden/${name}` }), name).toBe(NOT_FOUND)
    }
  })

  it('is as deep as one likes, with two or three descriptors held', async () => {
    const path = Array.from({ length: 100 }, () => 'd').join('/')
    mkdirSync(inside(path), { recursive: true })
    const before = openFiles()
    let [isOver, most] = [false, 0]
    const found = open('folder', { path }).finally(() => {
      isOver = true
    })
    while (!isOver) {
      most = Math.max(most, openFiles() - before)
      await new Promise<void>((resolve) => {
        setImmediate(resolve)
      })
    }
    expect(await found).toBeTypeOf('bigint')
    // The session's folder, the one above and the one below while a step is taken.
    expect(most).toBeLessThanOrEqual(3)
    expect(most).toBeGreaterThan(0)
    await expectOpenFiles(before)
  })

  it('is found with a root that is a link, and where everything is below the top', async () => {
    symlinkSync(join(base, 'workspace'), join(base, 'linked'))
    const linked = pinRoots(join(base, 'linked'))
    const found = await open('file', { path: 'file', from: linked })
    linked.close()
    expect(found).toBe(inodeOf(inside('file')))
    const top = pinRoots('/')
    const missing = await open('folder', { path: '.', session: '0000000', from: top })
    top.close()
    expect(missing).toBe('workspace_not_found: workspace does not exist')
  })
})

describe('any path through any links', () => {
  // Every folder has a file; links are made in some of them. `@` is where they lie, `^` the way back there.
  const FOLDERS = ['.', 'a', 'b', 'a/a', 'a/b', 'b/a', 'b/a/b']
  const LINKS = ['x', 'y', 'z']
  const folder = fc.constantFrom(...FOLDERS)
  const name = fc.constantFrom('a', 'b', 'file', ...LINKS)
  const step = fc.oneof(
    { weight: 6, arbitrary: name },
    { weight: 2, arbitrary: fc.constant('..') },
    fc.constantFrom('.', '', 'nothing'),
  )
  const ends = fc.array(step, { maxLength: 2 })
  const start = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('.', '.', '..', '../..') },
    { weight: 4, arbitrary: fc.constant('^') },
    { weight: 3, arbitrary: fc.constant('@') },
    fc.constantFrom(`../${SESSION}`, `../../${SESSION}`, '../../../..@'),
    fc.constantFrom('/', '/etc', '../def5678', '../abc1234x', '../../configs'),
  )
  const target = fc
    .tuple(start, folder, ends)
    .map(([from, to, rest]) => [from, to, ...rest].join('/'))
  const link = fc.record({
    at: folder,
    name: fc.constantFrom(...LINKS),
    to: target,
  })
  const tree = fc.array(link, { minLength: 4, maxLength: 14 })
  const tails = fc.array(fc.array(name, { maxLength: 2 }), { minLength: 3, maxLength: 3 })
  const met = { opened: 0, [ESCAPES]: 0, [NOT_FOUND]: 0 }

  it('ends where the kernel says, or is refused', async () => {
    const property = fc.asyncProperty(tree, tails, async (links, rests) => {
      plant(links)
      const asked = links.flatMap(({ at, name }) =>
        rests.map((rest) => [at, name, ...rest].join('/')),
      )
      for (const path of new Set(asked)) await compare(path)
    })
    await fc.assert(property, { numRuns: TREES })
    process.stdout.write(`session paths: ${JSON.stringify(met)}\n`)
    // All of it was met, and more than once for each tree.
    expect(Math.min(...Object.values(met))).toBeGreaterThan(TREES)
  })

  async function compare(path: string): Promise<void> {
    const real = realPathOf(inside(path))
    const isFolder = real !== undefined && statSync(real).isDirectory()
    const found = await open(isFolder ? 'folder' : 'file', { path })
    expect(verdictsOn(real), path).toContain(found)
    if (found === ESCAPES || found === NOT_FOUND) met[found] += 1
    else met.opened += 1
  }

  function verdictsOn(real: string | undefined): readonly (bigint | string)[] {
    if (real === undefined) return [NOT_FOUND, ESCAPES]
    const isInside = real === inside('.') || real.startsWith(`${inside('.')}/`)
    return [isInside ? inodeOf(real) : ESCAPES]
  }

  function plant(links: readonly { at: string; name: string; to: string }[]): void {
    rmSync(inside('.'), { recursive: true })
    for (const folder of FOLDERS) place(inside(`${folder}/file`))
    for (const { at, name, to } of links) {
      const path = inside(`${at}/${name}`)
      const back = at === '.' ? '.' : at.replaceAll(/[^/]+/g, '..')
      if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
        symlinkSync(to.replace('@', inside('.')).replace('^', back), path)
    }
  }

  function realPathOf(path: string): string | undefined {
    try {
      return realpathSync.native(path)
    } catch {
      return undefined
    }
  }
})
