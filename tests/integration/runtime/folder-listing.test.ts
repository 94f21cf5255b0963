import { execFileSync } from 'node:child_process'
import {
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSessionId, parseSessionPath } from '@atrium/path-safety/session-path'
import { parseFolderPath } from '@atrium/path-safety/workspace-path'
import { type ListPage, parseListPage } from '@atrium/runtime-contract/inspection-query'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ContainedRoots } from '../../../apps/workspace-runtime/src/files/contained-roots.ts'
import {
  type EntriesPage,
  FolderListing,
} from '../../../apps/workspace-runtime/src/files/folder-listing.ts'
import {
  listFolder,
  listSessionFolder,
} from '../../../apps/workspace-runtime/src/files/list-folder.ts'
import { WINDOW_TTL_MS } from '../../../apps/workspace-runtime/src/files/name-windows.ts'
import type { OpenedFolder } from '../../../apps/workspace-runtime/src/files/open-contained-folder.ts'
import { scanNames } from '../../../apps/workspace-runtime/src/files/scan-names.ts'
import { WorkQueue } from '../../../apps/workspace-runtime/src/work-queue.ts'
import { eventually } from '../../support/eventually.ts'
import { HeldClock } from '../../support/held-clock.ts'
import { tryMount } from '../../support/mounts.ts'
import { expectOpenFiles, openFiles } from '../../support/runtime-harness.ts'

let openBefore: number
let base: string
let roots: ContainedRoots

beforeAll(() => {
  openBefore = openFiles()
  base = mkdtempSync(join(tmpdir(), 'atrium-listing-'))
  writeFileSync(join(base, 'file'), '')
  const at = (root: string): string => join(base, root)
  for (const root of ['configs', 'workspace', 'home', 'plugins']) mkdirSync(at(root))
  const [configs, home, plugins] = [at('configs'), at('home'), at('plugins')]
  roots = ContainedRoots.pin({ configs, home, plugins, workspace: at('workspace') }, configs)
})

afterAll(async () => {
  roots.close()
  rmSync(base, { recursive: true, force: true })
  await expectOpenFiles(openBefore)
})

const inWorkspace = (...names: readonly string[]): string => join(base, 'workspace', ...names)
const numbered = (number: number): string => `n${`${number}`.padStart(5, '0')}`

function makeFolder(name: string, count: number): string {
  mkdirSync(inWorkspace(name))
  for (let index = 0; index < count; index += 1) put(name, numbered(index))
  return name
}

function put(folder: string, name: string): void {
  // A link is made in half the time of a file.
  linkSync(join(base, 'file'), inWorkspace(folder, name))
}

function remove(folder: string, name: string): void {
  rmSync(inWorkspace(folder, name))
}

/** Names of a page, and the cursor behind it. */
async function page(
  listing: FolderListing,
  folder: string,
  cursor?: string | null,
  { signal } = new AbortController(),
) {
  const path = parseFolderPath([`/workspace/${folder}`])
  if (!path.ok) throw new Error('no path')
  const opened = await roots.openFolder(path.path)
  try {
    const found: EntriesPage = await listing.page(opened, pageBehind(cursor), signal)
    return { names: found.entries.map(({ name }) => name), cursor: found.next_cursor }
  } finally {
    opened.close()
  }
}

function pageBehind(cursor: string | null | undefined): ListPage {
  const query = { limit: ['10'], cursor: typeof cursor === 'string' ? [cursor] : [] }
  const verdict = parseListPage((name) => (name === 'limit' ? query.limit : query.cursor))
  if (!verdict.ok) throw new Error(verdict.message)
  return verdict.value
}

/** The runtime's own clock, but so late that the folder's times have settled. */
const laterClock = (): HeldClock => new HeldClock(new Date(Date.now() + 60_000))
const listingAt = (clock: HeldClock): FolderListing => new FolderListing({ clock, roots })

describe('names of a folder', () => {
  // As many as are read at once, and about as many.
  it.each([0, 1, 1_023, 1_024, 1_025])('are all found when there are %i', async (count) => {
    const folder = inWorkspace(makeFolder(`count-${count}`, count))
    const directory = openSync(folder, 'r')
    try {
      const all = await scanNames(directory, { after: '', keep: 5_000 })
      expect(all).toEqual({ names: readdirSync(folder).sort(), hasMore: false })
      const some = await scanNames(directory, { after: numbered(0), keep: 3 })
      const [one, two, three] = all.names.slice(1)
      expect(some.names).toEqual([one, two, three].filter((name) => name !== undefined))
      expect(some.hasMore).toBe(count > 4)
    } finally {
      closeSync(directory)
      rmSync(folder, { recursive: true })
    }
  })

  it('are found where the file system does not say what they name', async ({ skip }) => {
    const image = join(base, 'image')
    writeFileSync(image, Buffer.alloc(1024 * 1024))
    mkdirSync(inWorkspace('untyped'))
    const unmount = tryMountWithoutTypes(image, inWorkspace('untyped'))
    if (unmount === undefined) return skip('nothing may be mounted here')
    const names = [Buffer.from('a'), Buffer.from('ä'), Buffer.from([0xff])]
    try {
      for (const name of names) {
        writeFileSync(Buffer.concat([Buffer.from(`${inWorkspace('untyped')}/`), name]), '')
      }
      const found = await page(listingAt(laterClock()), 'untyped')
      expect(found.names).toEqual(['a', 'lost+found', 'ä', '\u{fffd}'])
    } finally {
      unmount()
    }
  })

  it('stop being read when nobody wants them any more', async () => {
    const folder = makeFolder('aborted', 3)
    const directory = openSync(inWorkspace(folder), 'r')
    const signal = AbortSignal.abort(new Error('gone'))
    await expect(scanNames(directory, { after: '', keep: 1, signal })).rejects.toThrow('gone')
    closeSync(directory)
  })
})

/** ext4 as it was before entries had types. */
function tryMountWithoutTypes(image: string, target: string): (() => void) | undefined {
  try {
    execFileSync('mkfs.ext4', ['-q', '-O', '^filetype', image], { stdio: 'pipe' })
  } catch {
    return undefined
  }
  return tryMount(['-o', 'loop'], image, target)
}

describe('pages of a large folder', () => {
  it('leave out what vanished since its name was read, and are full nevertheless', async () => {
    const listing = listingAt(laterClock())
    const folder = makeFolder('vanishing', 1_100)
    const { cursor } = await page(listing, folder)
    for (let index = 10; index < 25; index += 1) remove(folder, numbered(index))
    const names = Array.from({ length: 10 }, (_, index) => numbered(25 + index))
    expect((await page(listing, folder, cursor)).names).toEqual(names)
  })

  it('come from what was read for the page before, for half a minute', async () => {
    const clock = laterClock()
    const listing = listingAt(clock)
    const folder = makeFolder('kept', 1_100)
    const { cursor } = await page(listing, folder)
    put(folder, 'n00010-new')
    clock.advance(WINDOW_TTL_MS - 1)
    expect((await page(listing, folder, cursor)).names).not.toContain('n00010-new')
    clock.advance(1)
    expect((await page(listing, folder, cursor)).names).toContain('n00010-new')
  })

  it('have everything that was there when somebody began at the first', async () => {
    const listing = listingAt(laterClock())
    const folder = makeFolder('anew', 1_100)
    const before = await page(listing, folder)
    put(folder, 'n00010-new')
    put(folder, '0-new')
    const first = await page(listing, folder)
    expect(first.names.slice(0, 2)).toEqual(['0-new', 'n00000'])
    expect((await page(listing, folder, first.cursor)).names).toContain('n00010-new')
    expect((await page(listing, folder, before.cursor)).names).toContain('n00010-new')
  })

  it('end although names behind the last are hidden or gone', async () => {
    const listing = listingAt(laterClock())
    const folder = makeFolder('tail', 10)
    for (let index = 0; index < 1_200; index += 1) {
      put(folder, `\u{ff0e}up-${index.toString(16).padStart(24, '0')}.part`)
    }
    const first = await page(listing, folder)
    expect(first.names).toHaveLength(10)
    expect(await page(listing, folder, first.cursor)).toEqual({ names: [], cursor: null })
  })

  it('are read together by those who want the same', async () => {
    const listing = listingAt(laterClock())
    const folder = makeFolder('together', 1_100)
    const { cursor } = await page(listing, folder)
    const pages = await Promise.all(Array.from({ length: 8 }, () => page(listing, folder, cursor)))
    for (const { names } of pages) expect(names[0]).toBe(numbered(10))
    listing.close()
  })
})

describe('a folder of more names than are read in a moment', () => {
  const folder = 'huge'
  beforeAll(() => {
    makeFolder(folder, 17_000)
    makeFolder('small', 3)
  })

  class WatchedQueue extends WorkQueue {
    asked = 0

    override run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
      this.asked += 1
      return super.run(work, signal)
    }
  }

  /** A listing whose only place for a long scan is taken, until it is given back. */
  function busyListing() {
    const turns = new WatchedQueue({ concurrency: 1, maxWaiting: 10 })
    const { promise, resolve } = Promise.withResolvers<void>()
    const { signal } = new AbortController()
    const held = turns.run(() => promise, signal)
    async function giveBack(): Promise<void> {
      resolve()
      await held
    }
    return {
      listing: new FolderListing({ clock: laterClock(), roots, turns }),
      next: (work: () => void) => turns.run(async () => work(), signal),
      asked: (times: number) => eventually(() => turns.asked === times),
      giveBack,
    }
  }

  it('is read in turns, from its first page on, and small ones need none', async () => {
    const { listing, asked, giveBack } = busyListing()
    const log: string[] = []
    const first = page(listing, folder).then(({ names }) => log.push(`huge ${names[0]}`))
    await asked(2)
    log.push(`small ${(await page(listing, 'small')).names[0]}`)
    await giveBack()
    await first
    expect(log).toEqual(['small n00000', 'huge n00000'])
  })

  it('keeps nobody waiting who does not want it any more', async () => {
    const { listing, asked, giveBack } = busyListing()
    const before = openFiles()
    const leaving = new AbortController()
    const left = page(listing, folder, undefined, leaving)
    await asked(2)
    leaving.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    await expectOpenFiles(before)
    await giveBack()
    expect((await page(listing, folder)).names[0]).toBe(numbered(0))
  })

  it('is read once for all who come before it changes', async () => {
    const { listing, next, asked, giveBack } = busyListing()
    const one = page(listing, folder)
    await asked(2)
    const between = next(() => put(folder, '0-new'))
    const other = page(listing, folder)
    await asked(4)
    await giveBack()
    await between
    expect([(await one).names[0], (await other).names[0]]).toEqual([numbered(0), numbered(0)])
    expect((await page(listing, folder)).names[0]).toBe('0-new')
  })
})

describe('a folder that is removed while it is listed', () => {
  const page = { limit: 10, after: undefined }
  const { signal } = new AbortController()

  /** Opens what is asked for, and then it is gone: three times, and no more. */
  function gone(folder: string) {
    async function open(): Promise<OpenedFolder> {
      mkdirSync(inWorkspace(folder), { recursive: true })
      const path = parseFolderPath([`/workspace/${folder}`])
      if (!path.ok) throw new Error('no path')
      const opened = await roots.openFolder(path.path)
      rmSync(inWorkspace(folder), { recursive: true })
      return opened
    }
    const listing = listingAt(laterClock())
    return { roots: { openFolder: open, openSessionFolder: open }, listing }
  }

  it('is not there, in the words of who asked', async () => {
    const path = parseFolderPath(['/workspace/removed'])
    const inSession = parseSessionPath(['.'])
    const session = '00000aa'
    if (!path.ok || !inSession.ok || !isSessionId(session)) throw new Error('no path')
    const plain = listFolder(gone('removed'), path.path, { page, signal })
    await expect(plain).rejects.toMatchObject({ code: 'file_not_found' })
    const asked = { session, path: inSession.path }
    const listed = listSessionFolder(gone(session), asked, { page, signal })
    await expect(listed).rejects.toMatchObject({ code: 'not_found' })
  })
})
