/**
 * @module What whoever looks into a session is promised, whichever transport answers
 * (contract/runtime 20.2 to 20.4). Over HTTP, at the platform's routes; the same bytes from both.
 */
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { SessionScene } from '../support/session-scene.ts'

export const SESSION = 'a1b2c3d'
const OTHER = 'b1b2c3d'

const NOT_FOUND = [404, 'not_found', 'path not found in workspace'] as const
const ESCAPE = [400, 'path_escape', 'path escapes the workspace'] as const
const RELATIVE = [400, 'invalid_path', 'path must be relative to the workspace'] as const
const CONTROL = [400, 'invalid_path', 'path contains control characters'] as const
const TRAVERSE = [400, 'invalid_path', 'path must not traverse outside the workspace'] as const

const HIDDEN = '.up-0123456789abcdef01234567.part'
/** Sorted by code point, which is by bytes; by UTF-16 the last two change places. */
const SORTED = ['Z', 'a', 'a b', 'é', '～', '😀']

/** Status, code and words of a refusal. */
export async function refusalOf(answer: Response): Promise<readonly unknown[]> {
  const { code, error } = (await answer.json()) as Record<string, unknown>
  return [answer.status, code, error]
}

/** The answer and, of its JSON, everything that does not differ from file to file. */
export async function answerOf(answer: Response): Promise<Record<string, unknown>> {
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`${answer.status} ${text}`)
  expect(answer.headers.get('content-type')).toBe('application/json')
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  const { version, ...rest } = JSON.parse(text) as Record<string, unknown>
  if (version !== undefined) expect(version).toMatch(/^\S{1,200}$/)
  return rest
}

/** What all of the suite looks at; nothing of it is changed afterwards. */
export function prepareSession(sessions: string): void {
  const folder = join(sessions, SESSION)
  const place = (name: string, content: string | Uint8Array = 'content') =>
    writeFileSync(join(folder, name), content)
  for (const each of ['dir/sub', 'sorted/a', 'dated', 'links', ' led /in']) {
    mkdirSync(join(folder, each), { recursive: true })
  }
  mkdirSync(join(sessions, OTHER))
  writeFileSync(join(sessions, OTHER, 'secret.txt'), 'SECRET')
  writeFileSync(join(sessions, 'ffffff0'), 'a file and no folder')
  symlinkSync('/etc', join(sessions, 'ffffff1'))
  symlinkSync(SESSION, join(sessions, 'ffffff2'))
  place('hello.txt', 'hällo\nworld\n')
  place('a..b', 'dots')
  place('~tilde', 'tilde')
  place(' led /in/ file ', 'blanks')
  place('dir/inner.txt', 'inner')
  place(HIDDEN, 'unfinished')
  for (const name of SORTED) if (name !== 'a') place(`sorted/${name}`, name)
  symlinkSync('../hello.txt', join(folder, 'sorted/b'))
  place('dated/new')
  place('dated/old')
  utimesSync(join(folder, 'dated/new'), 1_700_000_000.9, 1_700_000_000.9)
  // As numbers Node takes them for now.
  utimesSync(join(folder, 'dated/old'), new Date(-1_500), new Date(-1_500))
  prepareLinks(folder)
}

const LINKS: Readonly<Record<string, string>> = {
  /** `hello.txt` by its whole path. */
  absolute: '',
  file: '../hello.txt',
  folder: '../dir',
  further: 'folder/../links/file',
  around: `../../${SESSION}/hello.txt`,
  'not-there': 'nowhere',
  'not-there-inside': '../dir/nowhere/x',
  loop: 'loop',
  outside: '/etc/passwd',
  'outside-and-not-there': '/nowhere/at/all',
  'other-session': `../../${OTHER}/secret.txt`,
  above: '../..',
  beside: `../../${SESSION}x/hello.txt`,
  hidden: `../${HIDDEN}`,
}

function prepareLinks(folder: string): void {
  for (const [name, target] of Object.entries(LINKS)) {
    symlinkSync(target === '' ? join(folder, 'hello.txt') : target, join(folder, 'links', name))
  }
  mkdirSync(join(folder, DEEP, 'x'), { recursive: true })
  for (const times of [10, 100]) {
    symlinkSync(`${'x/../'.repeat(times)}x`, join(folder, DEEP, `turns-${times}`))
  }
}

/** So far down that turning back a hundred times costs more than anybody is given. */
const DEEP = `deep${'/d'.repeat(200)}`

const EVERY = ['', '/preview', '/download'] as const
const thrice = <T>(value: T): readonly T[] => EVERY.map(() => value)

/** `scene` is running, and `prepareSession` was done, while the tests run. */
export function sessionInspectorContract(scene: () => SessionScene): void {
  const ask = async (operation: string, path: string) =>
    refusalOf(await scene().get(SESSION, operation, { path }))
  const askAll = (path: string) => Promise.all(EVERY.map((operation) => ask(operation, path)))

  describe('paths (20.2)', () => {
    it.each(['', '.', './', ' ', ' . '])(
      'takes %j for the folder itself, and echoes a dot',
      async (path) => {
        const answer = await answerOf(await scene().get(SESSION, '', { path }))
        expect(answer).toMatchObject({ path: '.' })
        expect(answer['entries']).toContainEqual(expect.objectContaining({ name: 'hello.txt' }))
      },
    )

    it('takes no path for the folder itself', async () => {
      expect(await answerOf(await scene().get(SESSION, ''))).toMatchObject({ path: '.' })
    })

    it('echoes a path trimmed and otherwise as it came', async () => {
      const answer = await answerOf(await scene().get(SESSION, '', { path: '  dir//./sub/ ' }))
      expect(answer).toMatchObject({ path: 'dir//./sub/', entries: [] })
    })

    it.each([
      ['/', RELATIVE],
      ['/etc/passwd', RELATIVE],
      [' /etc/passwd', RELATIVE],
      ['~', RELATIVE],
      ['~/x', RELATIVE],
      ['a\0b', CONTROL],
      ['a\nb', CONTROL],
      ['a\u001fb', CONTROL],
      ['..', TRAVERSE],
      ['a/..', TRAVERSE],
      ['a/../b', TRAVERSE],
      ['./../x', TRAVERSE],
    ])('refuses %j before anybody is asked', async (path, refusal) => {
      const before = scene().asked()
      expect(await askAll(path)).toEqual(thrice(refusal))
      expect(scene().asked()).toBe(before)
    })

    it('takes dots within a name for a name', async () => {
      const answer = await answerOf(await scene().get(SESSION, '/preview', { path: 'a..b' }))
      expect(answer).toMatchObject({ path: 'a..b', text: 'dots' })
    })

    it.each(EVERY)(
      'says of a session that is not there that it is not: files%s',
      async (operation) => {
        const refusal = [404, 'workspace_not_found', 'workspace does not exist']
        // A link in its place is none either: what is looked into is not the agent's to choose.
        for (const session of ['0000000', 'ffffff0', 'ffffff1', 'ffffff2']) {
          const path = operation === '' ? '.' : 'hello.txt'
          const answer = await scene().get(session, operation, { path })
          expect(await refusalOf(answer)).toEqual(refusal)
        }
      },
    )

    it.each([
      'links/outside',
      'links/outside-and-not-there',
      'links/other-session',
      'links/above',
      'links/beside',
      `links/above/${SESSION}x/y`,
    ])('lets nobody leave by %s', async (path) => {
      expect(await askAll(path)).toEqual(thrice(ESCAPE))
    })

    it.each([
      'nowhere',
      'dir/nowhere/x',
      'hello.txt/x',
      'links/not-there',
      'links/not-there-inside',
      'links/loop',
      'links/hidden',
      HIDDEN,
      `dir/${'x'.repeat(255)}`,
      'x'.repeat(256),
    ])('finds no %s', async (path) => {
      expect(await askAll(path)).toEqual(thrice(NOT_FOUND))
    })

    it.each(['file', 'further', 'around', 'absolute', `above/${SESSION}/hello.txt`])(
      'follows links/%s, which stays inside',
      async (name) => {
        const path = `links/${name}`
        const shown = await answerOf(await scene().get(SESSION, '/preview', { path }))
        expect(shown).toMatchObject({ path, text: 'hällo\nworld\n' })
        const loaded = await answerOf(await scene().get(SESSION, '/download', { path }))
        expect(loaded).toMatchObject({ path, size: 13 })
      },
    )

    it('lists a folder through a link that stays inside', async () => {
      const listed = await answerOf(await scene().get(SESSION, '', { path: 'links/folder' }))
      expect(namesOf(listed)).toEqual(['inner.txt', 'sub'])
    })

    it('follows a link that turns back far down, and gives one up that does so all the time', async () => {
      const listed = await answerOf(await scene().get(SESSION, '', { path: `${DEEP}/turns-10` }))
      expect(namesOf(listed)).toEqual([])
      expect(await askAll(`${DEEP}/turns-100`)).toEqual(thrice(NOT_FOUND))
    })
  })

  describe('list (20.3)', () => {
    it('tells entries by lstat, sorted by code point, with the keys of the contract and more', async () => {
      const answer = await scene().get(SESSION, '', { path: 'sorted' })
      const text = await answer.text()
      const { entries } = JSON.parse(text) as { entries: Record<string, unknown>[] }
      expect(entries.map(({ name, type }) => [name, type])).toEqual([
        ['Z', 'file'],
        ['a', 'dir'],
        ['a b', 'file'],
        ['b', 'symlink'],
        ['é', 'file'],
        ['～', 'file'],
        ['😀', 'file'],
      ])
      for (const entry of entries) {
        expect(entry).toEqual({
          name: expect.any(String),
          type: expect.any(String),
          size: expect.any(Number),
          mtime: expect.any(Number),
          mode: expect.any(Number),
        })
      }
      expect(entries[3]).toMatchObject({ size: '../hello.txt'.length })
      // The very bytes, whichever transport.
      expect(text).toBe(
        JSON.stringify({ path: 'sorted', entries, truncated: false, next_cursor: null }),
      )
    })

    it('tells whole seconds, rounded down', async () => {
      const listed = await answerOf(await scene().get(SESSION, '', { path: 'dated' }))
      expect(listed['entries']).toMatchObject([
        { name: 'new', mtime: 1_700_000_000, size: 7, mode: 0o644 },
        { name: 'old', mtime: -2 },
      ])
    })

    it('shows no part of an upload that is not finished', async () => {
      expect(namesOf(await answerOf(await scene().get(SESSION, '')))).not.toContain(HIDDEN)
    })

    it('refuses what is no folder', async () => {
      expect(await ask('', 'hello.txt')).toEqual([
        400,
        'not_a_directory',
        'path is not a directory',
      ])
    })
  })

  describe('preview and download (20.3)', () => {
    it('shows text', async () => {
      const answer = await scene().get(SESSION, '/preview', { path: 'hello.txt' })
      expect(await answerOf(answer)).toEqual({
        ...{ path: 'hello.txt', size: 13, offset: 0, next_offset: 13, truncated: false },
        ...{ binary: false, encoding: 'utf-8', text: 'hällo\nworld\n', lines: 2 },
      })
    })

    it('hands out bytes', async () => {
      const answer = await scene().get(SESSION, '/download', { path: 'hello.txt' })
      const content_base64 = Buffer.from('hällo\nworld\n').toString('base64')
      expect(await answerOf(answer)).toEqual({
        ...{ path: 'hello.txt', size: 13, offset: 0, truncated: false, content_base64 },
      })
    })

    it.each(['/preview', '/download'])('refuses a folder: files%s', async (operation) => {
      for (const path of ['', 'dir', 'links/folder']) {
        expect(await ask(operation, path)).toEqual([400, 'is_a_directory', 'path is a directory'])
      }
    })

    it('answers HEAD as GET, without a body', async () => {
      for (const [operation, path] of [
        ['', 'dir'],
        ['/preview', 'a..b'],
        ['/download', 'a..b'],
      ]) {
        const query = { path: path ?? '' }
        const got = await scene().get(SESSION, operation ?? '', query)
        const head = await scene().get(SESSION, operation ?? '', query, { method: 'HEAD' })
        expect([head.status, await head.text()]).toEqual([200, ''])
        expect(head.headers.get('content-length')).toBe(String(Buffer.byteLength(await got.text())))
      }
    })
  })

  describe('errors (20.4)', () => {
    it.each(EVERY)(
      'refuses an id that is none before anybody is asked: files%s',
      async (operation) => {
        const before = scene().asked()
        for (const session of ['A1B2C3D', 'a1b2c3', 'a1b2c3d4', 'a1b2c3g', 'a1b2c3d%0a']) {
          const answer = await scene().get(session, operation, { path: '/etc' })
          expect((await refusalOf(answer)).slice(0, 2)).toEqual([400, 'invalid_session_id'])
        }
        expect(scene().asked()).toBe(before)
      },
    )
  })
}

export function namesOf(page: Record<string, unknown>): readonly string[] {
  return (page['entries'] as readonly { readonly name: string }[]).map(({ name }) => name)
}
