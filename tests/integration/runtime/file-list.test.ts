import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import {
  FILE_LIST_PATH,
  type FolderEntry,
  type FolderPage,
  MAX_LIST_ENTRIES,
} from '@atrium/runtime-contract/file-inspection'
import { UPLOADS_DIR } from '@atrium/runtime-contract/file-transfer'
import { describe, expect, it } from 'vitest'
import { type Answer, send } from '../../support/raw-client.ts'
import { expectSecurityHeaders, TEXTS } from '../../support/read-runtime.ts'
import { expectRefusal, runtime, shareRuntime } from '../../support/shared-runtime.ts'

shareRuntime()

type Query = Readonly<Record<string, string | number>>

function ask(query: Query): Promise<Answer> {
  const parameters = Object.entries(query).map(([name, value]): [string, string] => [
    name,
    `${value}`,
  ])
  return runtime.call(`${FILE_LIST_PATH}?${new URLSearchParams(parameters)}`)
}

async function list(query: Query): Promise<FolderPage> {
  const answer = await ask(query)
  expect(answer.status, answer.body.toString()).toBe(200)
  expect(answer.isComplete).toBe(true)
  return JSON.parse(answer.body.toString())
}

/** Follows the cursors to the end. */
async function listAll(query: Query): Promise<FolderEntry[]> {
  const entries: FolderEntry[] = []
  let page = await list(query)
  entries.push(...page.entries)
  while (page.next_cursor !== null) {
    page = await list({ ...query, cursor: page.next_cursor })
    entries.push(...page.entries)
  }
  return entries
}

function makeFiles(folder: string, names: readonly (string | Buffer)[]): void {
  const local = runtime.local(folder)
  mkdirSync(local, { recursive: true })
  const at = (name: string | Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${local}/`), Buffer.from(name)])
  const [first, ...others] = names.map(at)
  if (first === undefined) return
  writeFileSync(first, 'content')
  // A link is made in half the time of a file.
  for (const other of others) linkSync(first, other)
}

const namesOf = (entries: readonly FolderEntry[]): string[] => entries.map(({ name }) => name)
const NOT_A_DIRECTORY = 'path is not a directory'

describe('GET /internal/file/list: a folder', () => {
  it('tells of every entry what it is itself', async () => {
    const file = runtime.place('/workspace/kinds/file', 'seven b')
    chmodSync(file, 0o4640)
    utimesSync(file, 1_700_000_000.9, 1_700_000_000.9)
    const old = runtime.place('/workspace/kinds/old', '')
    utimesSync(old, new Date(-1_500), new Date(-1_500))
    mkdirSync(runtime.local('/workspace/kinds/folder'))
    symlinkSync('/etc/passwd', runtime.local('/workspace/kinds/link'))
    symlinkSync('folder', runtime.local('/workspace/kinds/link-to-folder'))
    const page = await list({ path: '/workspace/kinds' })
    expect(page).toMatchObject({ path: '/workspace/kinds', truncated: false, next_cursor: null })
    const mtime = expect.any(Number)
    const mode = expect.any(Number)
    expect(page.entries).toEqual([
      { name: 'file', type: 'file', size: 7, mtime: 1_700_000_000, mode: 0o4640 },
      { name: 'folder', type: 'dir', size: expect.any(Number), mtime, mode },
      { name: 'link', type: 'symlink', size: 11, mtime, mode: 0o777 },
      { name: 'link-to-folder', type: 'symlink', size: 6, mtime, mode: 0o777 },
      { name: 'old', type: 'file', size: 0, mtime: -2, mode },
    ])
  })

  it('says other of what is none of these, and waits for nobody', async () => {
    mkdirSync(runtime.local('/workspace/others'))
    execFileSync('mkfifo', [runtime.local('/workspace/others/fifo')])
    const server = createServer()
    await new Promise<void>((resolve) => {
      server.listen(runtime.local('/workspace/others/socket'), resolve)
    })
    const { entries } = await list({ path: '/workspace/others' })
    server.close()
    expect(entries.map(({ name, type }) => [name, type])).toEqual([
      ['fifo', 'other'],
      ['socket', 'other'],
    ])
  })

  it('sorts by bytes, and has the bytes of names that are no text', async () => {
    const names = ['a', 'B', 'é', '\u{ffee}', '\u{1f600}', '-', 'a b', '\u{fffd}', '\n']
    const bytes = [Buffer.from([0x66, 0xff]), Buffer.from([0x80]), Buffer.from([0xed, 0xa0, 0x80])]
    makeFiles('/workspace/bytes', [...names, ...bytes])
    const { entries } = await list({ path: '/workspace/bytes' })
    const found = entries.map(({ name, name_base64 }) =>
      name_base64 === undefined ? Buffer.from(name) : Buffer.from(name_base64, 'base64'),
    )
    const expected = [...names, ...bytes].map((name) => Buffer.from(name)).sort(Buffer.compare)
    expect(found).toEqual(expected)
    const broken = entries.filter((entry) => entry.name_base64 !== undefined)
    expect(namesOf(broken)).toEqual(['f\u{fffd}', '\u{fffd}', '\u{fffd}\u{fffd}\u{fffd}'])
  })

  it('is a root as well, and empty when it is', async () => {
    expect(await list({ path: '/plugins' })).toEqual({
      path: '/plugins',
      entries: [],
      truncated: false,
      next_cursor: null,
    })
  })

  it('answers JSON that no browser takes for anything else, and HEAD without it', async () => {
    makeFiles('/workspace/head', ['<script>'])
    const target = `${FILE_LIST_PATH}?path=/workspace/head`
    const got = await runtime.call(target)
    const head = await runtime.call(target, { method: 'HEAD' })
    for (const answer of [got, head]) {
      expect(answer.status).toBe(200)
      expect(answer.headers['content-type']).toBe('application/json')
      expect(answer.headers['content-length']).toBe(`${got.body.length}`)
      expectSecurityHeaders(answer)
    }
    expect(head.body.length).toBe(0)
  })
})

describe('GET /internal/file/list: pages', () => {
  it('have at most so many entries as asked for, 1000 unless asked for fewer', async () => {
    const names = Array.from({ length: 1_003 }, (_, index) => `f${`${index}`.padStart(4, '0')}`)
    makeFiles('/workspace/pages', names)
    const path = '/workspace/pages'
    const first = await list({ path })
    expect(namesOf(first.entries)).toEqual(names.slice(0, MAX_LIST_ENTRIES))
    expect(first.truncated).toBe(true)
    const rest = await list({ path, cursor: first.next_cursor ?? '' })
    expect(rest).toMatchObject({ truncated: false, next_cursor: null })
    expect(namesOf(rest.entries)).toEqual(names.slice(MAX_LIST_ENTRIES))
    const some = names.slice(0, 34)
    makeFiles('/workspace/few', some)
    for (const limit of [1, 7, 17, 33]) {
      expect(namesOf(await listAll({ path: '/workspace/few', limit }))).toEqual(some)
    }
  })

  it('say that they are the last when they are full to the last entry', async () => {
    makeFiles('/workspace/exact', ['a', 'b', 'c'])
    const page = await list({ path: '/workspace/exact', limit: 3 })
    expect(page).toMatchObject({ truncated: false, next_cursor: null })
  })

  it('go on from a name that is gone, and from one that is no text', async () => {
    const name = Buffer.from([0x62, 0xff])
    makeFiles('/workspace/gone', ['a', name, 'c', 'd'])
    const first = await list({ path: '/workspace/gone', limit: 2 })
    expect(namesOf(first.entries)).toEqual(['a', 'b\u{fffd}'])
    rmSync(Buffer.concat([Buffer.from(runtime.local('/workspace/gone/')), name]))
    const rest = await list({ path: '/workspace/gone', cursor: first.next_cursor ?? '' })
    expect(namesOf(rest.entries)).toEqual(['c', 'd'])
  })

  it('are full although some in between are hidden', async () => {
    const hidden = Array.from(
      { length: 1_003 },
      (_, index) => `.up-${`${index}`.padStart(24, '0')}.part`,
    )
    makeFiles('/workspace/mixed', [...hidden, 'a', 'b', 'c'])
    const page = await list({ path: '/workspace/mixed', limit: 2 })
    expect(namesOf(page.entries)).toEqual(['a', 'b'])
    expect(page.truncated).toBe(true)
  })

  it.each([
    [{ limit: 0 }, 'limit must be a whole number from 1 to 1000'],
    [{ limit: 1001 }, 'limit must be a whole number from 1 to 1000'],
    [{ limit: '1e2' }, 'limit must be a whole number from 1 to 1000'],
    [{ cursor: '' }, 'cursor must be the next_cursor of a page of this folder'],
    [{ cursor: 'Li4v' }, 'cursor must be the next_cursor of a page of this folder'],
    [{ cursor: '%%' }, 'cursor must be the next_cursor of a page of this folder'],
  ])('are refused with %j', async (query, message) => {
    expectRefusal(await ask({ path: '/workspace', ...query }), 400, message, 'invalid_query')
  })
})

describe('GET /internal/file/list: what is nobody’s business', () => {
  it('shows no credential, by name or by inode, and no unfinished upload', async () => {
    for (const name of ['.auth_token', '.AUTH_TOKEN.bak', '.platform_inbound_secret.former']) {
      runtime.place(`/configs/${name}`, 'token')
    }
    runtime.place('/configs/config.yaml')
    linkSync(runtime.local(`/configs/${INBOUND_SECRET_FILE}`), runtime.local('/configs/linked'))
    expect(namesOf((await list({ path: '/configs' })).entries)).toEqual(['config.yaml'])
    linkSync(runtime.local('/configs/.auth_token'), runtime.local('/home/linked'))
    expect(namesOf((await list({ path: '/home' })).entries)).toEqual([])
    runtime.place(`${UPLOADS_DIR}/.up-${'0'.repeat(24)}.part`)
    runtime.place(`${UPLOADS_DIR}/.up-${'f'.repeat(24)}.list`)
    runtime.place(`${UPLOADS_DIR}/done.txt`)
    expect(namesOf((await list({ path: UPLOADS_DIR })).entries)).toEqual(['done.txt'])
  })

  it.each([
    '/configs/.auth_token',
    `/configs/${INBOUND_SECRET_FILE}/x`,
    `/workspace/.up-${'0'.repeat(24)}.part`,
  ])('answers as if %s did not exist', async (path) => {
    mkdirSync(runtime.local(`/workspace/.up-${'0'.repeat(24)}.part`), { recursive: true })
    expectRefusal(await ask({ path }), 404, TEXTS.notFound, 'file_not_found')
  })
})

describe('GET /internal/file/list: refuses', () => {
  it.each([
    [{}, TEXTS.required, 'path_required'],
    [{ path: '' }, TEXTS.required, 'path_required'],
    [{ path: 'workspace' }, TEXTS.absolute, 'path_not_absolute'],
    [{ path: '/' }, TEXTS.roots, 'path_outside_roots'],
    [{ path: '/etc' }, TEXTS.roots, 'path_outside_roots'],
    [{ path: '/workspacex' }, TEXTS.roots, 'path_outside_roots'],
    [{ path: '/workspace/' }, TEXTS.invalid, 'invalid_path'],
    [{ path: '/workspace/../etc' }, TEXTS.invalid, 'invalid_path'],
    [{ path: '/workspace//x' }, TEXTS.invalid, 'invalid_path'],
    [{ path: '/workspace/\u0000' }, TEXTS.invalid, 'invalid_path'],
  ])('%j', async (query, text, code) => {
    expectRefusal(await ask(query), 400, text, code)
  })

  it('what is no folder, and every link', async () => {
    runtime.place('/workspace/none/file')
    execFileSync('mkfifo', [runtime.local('/workspace/none/fifo')])
    mkdirSync(runtime.local('/workspace/none/real/inner'), { recursive: true })
    symlinkSync('/etc', runtime.local('/workspace/none/out'))
    symlinkSync('real', runtime.local('/workspace/none/in'))
    for (const name of ['file', 'fifo', 'out', 'in']) {
      const answer = await ask({ path: `/workspace/none/${name}` })
      expectRefusal(answer, 400, NOT_A_DIRECTORY, 'not_a_directory')
    }
    for (const name of ['nothing', 'file/x', 'out/ssh', 'in/inner']) {
      const answer = await ask({ path: `/workspace/none/${name}` })
      expectRefusal(answer, 404, TEXTS.notFound, 'file_not_found')
    }
  })

  it('whoever is not the platform, before it looks at the path', async () => {
    const url = new URL(`${FILE_LIST_PATH}?path=/etc`, runtime.url)
    for (const headers of [{}, { authorization: 'Bearer wrong' }]) {
      expect((await send(url, { headers })).status).toBe(401)
    }
  })

  it.each(['POST', 'PUT', 'DELETE'])('%s', async (method) => {
    const answer = await runtime.call(`${FILE_LIST_PATH}?path=/workspace`, { method })
    expect(answer.status).toBe(405)
    expect(answer.headers['allow']).toBe('GET, HEAD')
  })
})

describe('GET /internal/file/list?session=', () => {
  it('lists the folder of a session and those in it, with the path as it was asked for', async () => {
    makeFiles('/workspace/abc1234/sub', ['b', 'a'])
    execFileSync('mkfifo', [runtime.local('/workspace/abc1234/fifo')])
    symlinkSync('sub', runtime.local('/workspace/abc1234/link'))
    symlinkSync('/etc', runtime.local('/workspace/abc1234/out'))
    const session = 'abc1234'
    const { path, entries } = await list({ session })
    expect(path).toBe('.')
    expect(entries.map(({ name, type }) => [name, type])).toEqual([
      ['fifo', 'file'],
      ['link', 'symlink'],
      ['out', 'symlink'],
      ['sub', 'dir'],
    ])
    expect((await list({ session, path: '  ' })).path).toBe('.')
    const below = await list({ session, path: ' ./link// ' })
    expect({ path: below.path, names: namesOf(below.entries) }).toEqual({
      path: './link//',
      names: ['a', 'b'],
    })
    expect(namesOf(await listAll({ session, path: 'sub', limit: 1 }))).toEqual(['a', 'b'])
  })

  it.each([
    [{ session: 'ABC1234' }, 400, /^session id must be/, 'invalid_session_id'],
    [{ session: '../abc1' }, 400, /^session id must be/, 'invalid_session_id'],
    [{ path: '/x' }, 400, 'path must be relative to the workspace', 'invalid_path'],
    [{ path: 'a\nb' }, 400, 'path contains control characters', 'invalid_path'],
    [{ path: 'a/..' }, 400, 'path must not traverse outside the workspace', 'invalid_path'],
    [{ session: '0000000' }, 404, 'workspace does not exist', 'workspace_not_found'],
    [{ path: 'nothing' }, 404, 'path not found in workspace', 'not_found'],
    [{ path: 'out' }, 400, 'path escapes the workspace', 'path_escape'],
    [{ path: 'fifo' }, 400, NOT_A_DIRECTORY, 'not_a_directory'],
    [{ path: 'sub/a' }, 400, NOT_A_DIRECTORY, 'not_a_directory'],
    [{ limit: '0' }, 400, 'limit must be a whole number from 1 to 1000', 'invalid_query'],
  ])('refuses %j', async (query, status, text, code) => {
    const answer = await ask({ session: 'abc1234', ...query })
    const error: unknown = JSON.parse(answer.body.toString())
    const expected = text instanceof RegExp ? expect.stringMatching(text) : text
    expect({ status: answer.status, error }).toMatchObject({
      status,
      error: { code, error: expected },
    })
  })
})
