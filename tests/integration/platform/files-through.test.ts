/** Looking into a real workspace through the platform, and what both of them say of any path at all. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  ask,
  askDirectly,
  provideInspectedRuntime,
  runtime,
} from '../../support/inspected-runtime.ts'
import { expectOpenFiles, openFiles } from '../../support/runtime-harness.ts'

provideInspectedRuntime()

const SESSION = '0a1b2c3'
const OUTSIDE = 'what lies outside'

beforeAll(() => {
  runtime.place('/workspace/src/a.txt', 'hello\n')
  runtime.place('/workspace/src/b/c.txt', 'deep')
  runtime.place('/home/ä +%.txt', 'odd name')
  runtime.place(`/workspace/${SESSION}/notes/x.md`, '# x\n')
  runtime.place('/configs/.auth_token', OUTSIDE)
  const outside = join(runtime.local('/'), 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'secret'), OUTSIDE)
  symlinkSync(outside, runtime.local('/workspace/out'))
  symlinkSync('src/a.txt', runtime.local('/workspace/link'))
  symlinkSync('notes/x.md', runtime.local(`/workspace/${SESSION}/inside`))
  symlinkSync(outside, runtime.local(`/workspace/${SESSION}/out`))
})

describe('a workspace, through the platform', () => {
  it('is listed', async () => {
    const answer = await ask('files?path=/workspace/src')
    const entries = [
      expect.objectContaining({ name: 'a.txt', type: 'file', size: 6 }),
      expect.objectContaining({ name: 'b', type: 'dir' }),
    ]
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { path: '/workspace/src', entries, truncated: false, next_cursor: null },
    ])
  })

  it('is listed in pages', async () => {
    const names: string[] = []
    let cursor: string | null = null
    do {
      const rest: string = cursor === null ? '' : `&cursor=${cursor}`
      const answer = await ask(`files?path=/workspace&limit=1${rest}`)
      const page = (await answer.json()) as {
        entries: { name: string }[]
        next_cursor: string | null
      }
      names.push(...page.entries.map(({ name }) => name))
      cursor = page.next_cursor
    } while (cursor !== null)
    expect(names).toEqual([SESSION, 'link', 'out', 'src'])
  })

  it('is previewed and downloaded, whatever its names are', async () => {
    const path = encodeURIComponent('/home/ä +%.txt')
    const preview = await ask(`files/preview?path=${path}&offset=4`)
    expect([preview.status, await preview.json()]).toEqual([
      200,
      expect.objectContaining({ path: '/home/ä +%.txt', text: 'name', size: 8, offset: 4 }),
    ])
    const file = await ask(`files/download?path=${path}`, { headers: { range: 'bytes=0-2' } })
    expect([file.status, await file.text()]).toEqual([206, 'odd'])
  })

  it.each([
    ['tar', '-tf'],
    ['tar.gz', '-tzf'],
  ])('is archived as %s', async (format, flags) => {
    const answer = await ask(`files/archive?path=/workspace/src&format=${format}`)
    const bytes = Buffer.from(await answer.arrayBuffer())
    const listed = execFileSync('tar', [flags, '-'], { input: bytes, encoding: 'utf8' })
    expect(listed.split('\n').map((name) => name.replace(/^\.\//, ''))).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/(^|\/)a\.txt$/),
        expect.stringMatching(/b\/c\.txt$/),
      ]),
    )
  })

  it('answers HEAD as GET, without the bytes', async () => {
    for (const route of ['files', 'files/archive']) {
      const answer = await ask(`${route}?path=/workspace/src`, { method: 'HEAD' })
      expect([route, answer.status, await answer.text()]).toEqual([route, 200, ''])
    }
  })

  it('says itself what is not as asked', async () => {
    for (const [rest, status, code] of [
      ['files?path=/workspace/none', 404, 'file_not_found'],
      ['files?path=/workspace/src/a.txt', 400, 'not_a_directory'],
      ['files/archive?path=/workspace/src/a.txt', 400, 'not_a_directory'],
      ['files/preview?path=/workspace/src', 400, 'not_a_regular_file'],
      [`sessions/${SESSION}/files?path=none`, 404, 'not_found'],
      [`sessions/${SESSION}/files?path=inside`, 400, 'not_a_directory'],
      [`sessions/${SESSION}/files/preview`, 400, 'is_a_directory'],
      [`sessions/${SESSION}/files/preview?path=out/secret`, 400, 'path_escape'],
      ['sessions/fffffff/files', 404, 'workspace_not_found'],
    ] as const) {
      const answer = await ask(rest)
      const body = expect.objectContaining({ code, hop: 'workspace' })
      expect([rest, answer.status, await answer.json()]).toEqual([rest, status, body])
    }
  })

  it('shows the sessions in it', async () => {
    const preview = await ask(`sessions/${SESSION}/files/preview?path=inside`)
    expect(await preview.json()).toMatchObject({ path: 'inside', text: '# x\n' })
    const content = await ask(`sessions/${SESSION}/files/download?path=inside&offset=2`)
    const told = (await content.json()) as { content_base64: string }
    expect(Buffer.from(told.content_base64, 'base64').toString()).toBe('x\n')
  })
})

describe('a large archive, through the platform', () => {
  it('ends at once in the runtime when its client leaves', async () => {
    truncateSync(runtime.place('/plugins/large/file', ''), 4 * 1024 ** 3)
    const before = openFiles()
    const client = new AbortController()
    const answer = await ask('files/archive?path=/plugins/large', { signal: client.signal })
    await answer.body?.getReader().read()
    expect(openFiles()).toBeGreaterThan(before)
    client.abort()
    await expectOpenFiles(before)
  })

  it('breaks for its client when a file becomes shorter than it was', async () => {
    const path = runtime.place('/plugins/shrinking/file', '')
    truncateSync(path, 1024 ** 3)
    const answer = await ask('files/archive?path=/plugins/shrinking')
    const reader = answer.body?.getReader()
    await reader?.read()
    truncateSync(path, 0)
    const drain = async (): Promise<void> => {
      while ((await reader?.read())?.done === false);
    }
    await expect(drain()).rejects.toThrow()
  })
})

/** With ATRIUM_INSPECTOR_PATHS=100000 for as long as that takes. */
const PATHS = Number(process.env['ATRIUM_INSPECTOR_PATHS'] ?? 150)

const OPERATIONS = [
  ['files', '/internal/file/list?'],
  ['files/preview', '/internal/file/preview?'],
  ['files/archive', '/internal/file/archive?'],
  ['files/download', '/internal/file/read?'],
  [`sessions/${SESSION}/files`, `/internal/file/list?session=${SESSION}&`],
  [`sessions/${SESSION}/files/preview`, `/internal/file/preview?session=${SESSION}&`],
  [`sessions/${SESSION}/files/download`, `/internal/file/content?session=${SESSION}&`],
] as const

const segment = fc.oneof(
  fc.constantFrom('workspace', 'configs', 'home', 'src', 'a.txt', 'b', 'out', 'secret', 'link'),
  fc.constantFrom(SESSION, 'inside', 'notes', 'x.md', '.auth_token', '.AUTH_TOKEN', '.Auth-Token'),
  fc.constantFrom('', '.', '..', '...', '~', ' ', '\u0000', '\n', '\u007f', '\u202e', '\ufeff'),
  fc.constantFrom(
    '.up-0123456789abcdef01234567.part',
    'x'.repeat(255),
    'é'.repeat(128),
    'ä +%.txt',
  ),
  fc.string({ maxLength: 8, unit: 'grapheme' }),
  fc.string({ maxLength: 8, unit: 'binary' }),
)
const spelling = fc.constantFrom(
  (text: string) => encodeURIComponent(text.toWellFormed()),
  (text: string) => encodeURIComponent(text.toWellFormed()).replaceAll('%2F', '/'),
  (text: string) => encodeURIComponent(text.toWellFormed()).replaceAll('%20', '+'),
  (text: string) => encodeURIComponent(encodeURIComponent(text.toWellFormed())),
  (text: string) => `${encodeURIComponent(text.toWellFormed())}%ff`,
  (text: string) => `${encodeURIComponent(text.toWellFormed())}%`,
)
const asked = fc
  .tuple(
    fc.constantFrom('/', '', '//', '/workspace/', '/configs/', './', ' '),
    fc.array(segment, { maxLength: 6 }),
    spelling,
    fc.constantFrom('', '', '', '&path=a', '&limit=1', '&limit=0', '&limit=%ff', '&%ff=1'),
  )
  .map(([start, segments, spell, rest]) => `path=${spell(start + segments.join('/'))}${rest}`)

/** What can be compared: the answer, and not which hop has given it under which name. */
const judged = (status: number, text: string): unknown => {
  if (status < 400) return [status, text]
  const { code, error } = JSON.parse(text) as { code: string; error: string }
  return [status, code, error]
}

describe('any path at all', () => {
  it('is judged alike by platform and runtime, without a defect, and never leads outside', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...OPERATIONS), asked, async ([route, internal], query) => {
        const through = await ask(`${route}?${query}`)
        const text = await through.text()
        const direct = await askDirectly(`${internal}${query}`)
        expect(through.status).toBeLessThan(500)
        expect(text).not.toContain(OUTSIDE)
        expect(judged(through.status, text)).toEqual(
          judged(direct.status, direct.body.toString('utf8')),
        )
      }),
      { numRuns: PATHS },
    )
  }, 3_600_000)
})
