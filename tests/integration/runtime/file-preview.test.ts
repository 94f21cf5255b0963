import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, linkSync, mkdirSync, rmSync, symlinkSync, truncateSync } from 'node:fs'
import { createServer } from 'node:net'
import { INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import {
  DEFAULT_PREVIEW_BYTES,
  FILE_PREVIEW_PATH,
  type FilePreview,
  MAX_PREVIEW_BYTES,
} from '@atrium/runtime-contract/file-inspection'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, send } from '../../support/raw-client.ts'
import { expectSecurityHeaders, TEXTS } from '../../support/read-runtime.ts'
import { expectRefusal, runtime, shareRuntime } from '../../support/shared-runtime.ts'

shareRuntime()

/** Asks with exactly these parameters, each as often as it is listed. */
function ask(...parameters: readonly (readonly [string, string | number])[]): Promise<Answer> {
  const query = new URLSearchParams()
  for (const [name, value] of parameters) query.append(name, `${value}`)
  return runtime.call(`${FILE_PREVIEW_PATH}?${query}`)
}

async function preview(
  path: string,
  ...window: readonly (readonly [string, number])[]
): Promise<FilePreview> {
  const answer = await ask(['path', path], ...window)
  expect(answer.status).toBe(200)
  expect(answer.isComplete).toBe(true)
  return JSON.parse(answer.body.toString())
}

describe('GET /internal/file/preview: a window of a file', () => {
  it('shows a small file whole', async () => {
    runtime.place('/workspace/small.txt', 'zwölf\nBoxkämpfer\n')
    expect(await preview('/workspace/small.txt')).toEqual({
      path: '/workspace/small.txt',
      size: 19,
      offset: 0,
      next_offset: 19,
      truncated: false,
      binary: false,
      encoding: 'utf-8',
      text: 'zwölf\nBoxkämpfer\n',
      lines: 2,
      version: expect.stringMatching(/^[0-9a-z-]{10,100}$/),
    })
  })

  it('answers JSON that no browser takes for anything else, and HEAD without it', async () => {
    runtime.place('/workspace/page.html', '<script>alert(1)</script>')
    const target = `${FILE_PREVIEW_PATH}?path=/workspace/page.html`
    const got = await runtime.call(target)
    const head = await runtime.call(target, { method: 'HEAD' })
    for (const answer of [got, head]) {
      expect(answer.status).toBe(200)
      expect(answer.headers['content-type']).toBe('application/json')
      expect(answer.headers['content-length']).toBe(`${got.body.length}`)
      expectSecurityHeaders(answer)
    }
    expect(head.body).toHaveLength(0)
  })

  it('shows 256 KiB unless more or less is asked for, and never cuts a character', async () => {
    // Two bytes each, behind one: every even cut goes through one.
    const text = `x${'é'.repeat(700_000)}`
    runtime.place('/workspace/large.txt', text)
    const first = await preview('/workspace/large.txt')
    expect(first).toMatchObject({
      size: 1_400_001,
      next_offset: DEFAULT_PREVIEW_BYTES - 1,
      truncated: true,
      binary: false,
      text: text.slice(0, DEFAULT_PREVIEW_BYTES / 2),
    })
    const most = await preview('/workspace/large.txt', ['limit', MAX_PREVIEW_BYTES])
    expect(most.next_offset).toBe(MAX_PREVIEW_BYTES - 1)
    const within = await preview('/workspace/large.txt', ['offset', 4], ['limit', 6])
    expect(within).toMatchObject({
      offset: 5,
      next_offset: 11,
      text: 'ééé',
      version: first.version,
    })
    const last = await preview('/workspace/large.txt', ['tail', 5])
    expect(last).toMatchObject({ offset: 1_399_997, next_offset: 1_400_001, text: 'éé' })
    expect(last.truncated).toBe(true)
  })

  it.each(['utf8', 'utf16le'] as const)(
    'gives back a text piece by piece: %s',
    async (encoding) => {
      const text = 'naïve 😀 €5\n'.repeat(40)
      const mark = encoding === 'utf8' ? '' : '\ufeff'
      runtime.place('/workspace/pieces.txt', Buffer.from(mark + text, encoding))
      let shown = ''
      for (let offset = 0, isLast = false; !isLast; ) {
        const window = await preview('/workspace/pieces.txt', ['offset', offset], ['limit', 37])
        expect(window.next_offset).toBeGreaterThan(offset)
        shown += window.text ?? '(binary)'
        offset = window.next_offset
        isLast = offset === window.size
      }
      expect(shown).toBe(text)
    },
  )

  it.each([
    ['a NUL', Buffer.from('a\0b')],
    ['bytes that are no characters', Buffer.from([0x61, 0xff])],
    ['half a character at its end', Buffer.from('é').subarray(0, 1)],
  ])('calls a file with %s binary', async (_, content) => {
    runtime.place('/workspace/binary.bin', content)
    expect(await preview('/workspace/binary.bin')).toMatchObject({
      binary: true,
      encoding: null,
      text: null,
      lines: null,
      size: content.length,
      next_offset: content.length,
      truncated: false,
    })
  })

  it('shows an empty file, and nothing behind the end of one', async () => {
    runtime.place('/workspace/empty.txt', '')
    const empty = { text: '', lines: 0, binary: false, truncated: false, next_offset: 0 }
    expect(await preview('/workspace/empty.txt')).toMatchObject(empty)
    runtime.place('/workspace/short.txt', 'abc')
    const behind = await preview('/workspace/short.txt', ['offset', Number.MAX_SAFE_INTEGER])
    expect(behind).toMatchObject({ text: '', offset: 3, next_offset: 3, truncated: true })
    expect(await preview('/workspace/short.txt', ['tail', 900_000])).toMatchObject({ text: 'abc' })
  })

  it('has another version once the file is another', async () => {
    const path = runtime.place('/workspace/version.txt', 'one')
    const first = await preview('/workspace/version.txt')
    expect((await preview('/workspace/version.txt', ['tail', 1])).version).toBe(first.version)
    appendFileSync(path, '!')
    const second = await preview('/workspace/version.txt')
    expect(second.version).not.toBe(first.version)
    rmSync(path)
    runtime.place('/workspace/version.txt', 'one')
    expect((await preview('/workspace/version.txt')).version).not.toBe(first.version)
  })

  it('answers consistently about a file that grows and shrinks all the while', async () => {
    const path = runtime.place('/workspace/restless.log', '')
    let isOver = false
    async function write(): Promise<void> {
      for (let turn = 0; !isOver; turn += 1) {
        if (turn % 40 === 39) truncateSync(path, turn % 3)
        else appendFileSync(path, 'line of a log\n'.repeat(2_000))
        await new Promise(setImmediate)
      }
    }
    const writing = write()
    try {
      for (let turn = 0; turn < 24; turn += 1) {
        const window = turn % 2 === 0 ? (['tail', 200_000] as const) : (['offset', 100] as const)
        const shown = await preview('/workspace/restless.log', window)
        expect(shown.binary).toBe(false)
        expect(shown.text).toHaveLength(shown.next_offset - shown.offset)
        expect(shown.next_offset).toBeLessThanOrEqual(shown.size)
      }
    } finally {
      isOver = true
      await writing
    }
  })
})

describe('GET /internal/file/preview: what is refused', () => {
  it.each([
    ['nothing', []],
    ['a wrong one', ['Bearer wrong']],
  ])('everybody without the credential, before anything else: %s', async (_, [bearer]) => {
    const headers = bearer === undefined ? {} : { authorization: bearer }
    for (const query of ['', '?path=%ff', '?path=/workspace/small.txt&limit=x', '?session=no']) {
      for (const method of ['GET', 'HEAD', 'POST']) {
        const url = new URL(`${FILE_PREVIEW_PATH}${query}`, runtime.url)
        expect((await send(url, { headers, method })).status).toBe(401)
      }
    }
  })

  it('a service worker’s script', async () => {
    runtime.place('/workspace/worker.js')
    const headers = { authorization: `Bearer ${runtime.secret}`, 'service-worker': 'script' }
    const target = `${FILE_PREVIEW_PATH}?path=/workspace/worker.js`
    const answer = await send(new URL(target, runtime.url), { headers })
    expectRefusal(answer, 403, 'file is not readable', 'file_forbidden')
  })

  it('another method, with those that are served', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await runtime.call(`${FILE_PREVIEW_PATH}?path=/workspace/x`, { method })
      expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD'])
    }
  })

  it.each([
    ['', TEXTS.required, 'path_required'],
    ['workspace/foo', TEXTS.absolute, 'path_not_absolute'],
    ['/etc/passwd', TEXTS.roots, 'path_outside_roots'],
    ['/workspace-evil/foo', TEXTS.roots, 'path_outside_roots'],
    ['/workspace/../etc/passwd', TEXTS.invalid, 'invalid_path'],
    ['/workspace//foo', TEXTS.invalid, 'invalid_path'],
    ['/workspace/a\nb', TEXTS.invalid, 'invalid_path'],
    [`/workspace/${'n'.repeat(256)}`, TEXTS.invalid, 'invalid_path'],
    ['/workspace', TEXTS.notRegular, 'not_a_regular_file'],
  ])('the path %j, as when it is read', async (path, error, code) => {
    expectRefusal(await ask(['path', path]), 400, error, code)
  })

  it.each([
    ['limit', '0', 'limit must be a whole number from 1 to 1048576'],
    ['limit', '1048577', 'limit must be a whole number from 1 to 1048576'],
    ['limit', '', 'limit must be a whole number from 1 to 1048576'],
    ['limit', '1e3', 'limit must be a whole number from 1 to 1048576'],
    ['limit', '-1', 'limit must be a whole number from 1 to 1048576'],
    ['tail', '0', 'tail must be a whole number from 1 to 1048576'],
    ['offset', '-1', `offset must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`],
    [
      'offset',
      '9007199254740992',
      `offset must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`,
    ],
    ['offset', '١', `offset must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`],
  ])('the window %s=%j', async (name, value, message) => {
    runtime.place('/workspace/plain.txt')
    const answer = await ask(['path', '/workspace/plain.txt'], [name, value])
    expectRefusal(answer, 400, message, 'invalid_query')
  })

  it('windows that contradict themselves, and anything said twice', async () => {
    runtime.place('/workspace/plain.txt')
    const path = ['path', '/workspace/plain.txt'] as const
    const both = 'tail goes without offset and limit'
    expectRefusal(await ask(path, ['tail', 1], ['offset', 1]), 400, both, 'invalid_query')
    expectRefusal(await ask(path, ['tail', 1], ['limit', 1]), 400, both, 'invalid_query')
    for (const name of ['tail', 'limit', 'offset']) {
      const answer = await ask(path, [name, 1], [name, 1])
      expectRefusal(answer, 400, `${name} must be given once`, 'invalid_query')
    }
    expectRefusal(await ask(path, path), 400, TEXTS.invalid, 'invalid_path')
  })

  it.each(['%ff', '%', '%zz', '%c0%af', '%ed%a0%80'])(
    '%s anywhere, which is no UTF-8',
    async (bad) => {
      runtime.place('/workspace/plain.txt')
      const path = await runtime.call(`${FILE_PREVIEW_PATH}?path=/workspace/${bad}`)
      expectRefusal(path, 400, TEXTS.invalid, 'invalid_path')
      const query = `path=/workspace/plain.txt&limit=${bad}`
      const limit = await runtime.call(`${FILE_PREVIEW_PATH}?${query}`)
      expectRefusal(limit, 400, 'limit cannot be decoded', 'invalid_query')
    },
  )

  it('what is not there', async () => {
    runtime.place('/workspace/plain.txt')
    for (const path of ['/workspace/no', '/home/a/b', '/workspace/plain.txt/below']) {
      expectRefusal(await ask(['path', path]), 404, TEXTS.notFound, 'file_not_found')
    }
  })

  it('links, in the last place and on the way, wherever they lead', async () => {
    const outside = runtime.place('/outside/secret.txt', 'outside')
    runtime.place('/workspace/real/file.txt', 'inside')
    for (const [name, target] of [
      ['absolute', '/etc/passwd'],
      ['outward', outside],
      ['inward', 'real/file.txt'],
      ['dangling', 'nowhere'],
      ['loop', 'loop'],
    ] as const) {
      symlinkSync(target, runtime.local(`/workspace/${name}`))
      const answer = await ask(['path', `/workspace/${name}`])
      expectRefusal(answer, 400, TEXTS.notRegular, 'not_a_regular_file')
    }
    symlinkSync('/etc', runtime.local('/workspace/to-etc'))
    symlinkSync('real', runtime.local('/workspace/to-real'))
    for (const path of ['/workspace/to-etc/passwd', '/workspace/to-real/file.txt']) {
      expectRefusal(await ask(['path', path]), 404, TEXTS.notFound, 'file_not_found')
    }
  })

  it('the credentials, by name and by what they are, and unfinished uploads', async () => {
    runtime.place('/configs/.auth_token', 'token')
    linkSync(runtime.local(`/configs/${INBOUND_SECRET_FILE}`), runtime.local('/workspace/s.txt'))
    runtime.place(`/workspace/.up-${'0'.repeat(24)}.part`)
    for (const path of [
      '/configs/.auth_token',
      `/configs/${INBOUND_SECRET_FILE}`,
      `/configs/${INBOUND_SECRET_FILE}.tmp`,
      '/workspace/s.txt',
      `/workspace/.up-${'0'.repeat(24)}.part`,
    ]) {
      expectRefusal(await ask(['path', path]), 404, TEXTS.notFound, 'file_not_found')
    }
    rmSync(runtime.local('/workspace/s.txt'))
  })

  it('a hard link below /configs, and only there', async () => {
    const file = runtime.place('/workspace/linked.txt', 'linked')
    linkSync(file, runtime.local('/configs/linked.txt'))
    const refused = await ask(['path', '/configs/linked.txt'])
    expectRefusal(refused, 403, 'file is not readable', 'file_forbidden')
    expect((await preview('/workspace/linked.txt')).text).toBe('linked')
  })
})

describe('GET /internal/file/preview: what is no file', () => {
  const socket = createServer()
  const FIFOS = Array.from({ length: 16 }, (_, index) => `fifo-${index}`)

  beforeAll(async () => {
    mkdirSync(runtime.local('/workspace/odd/folder'), { recursive: true })
    socket.listen(runtime.local('/workspace/odd/socket'))
    await once(socket, 'listening')
    execFileSync('mkfifo', [...FIFOS, 'fifo'], { cwd: runtime.local('/workspace/odd') })
  })

  afterAll(async () => {
    await once(socket.close(), 'close')
  })

  it.each(['fifo', 'socket', 'folder'])('refuses a %s at once', async (name) => {
    const startedAt = performance.now()
    const answer = await ask(['path', `/workspace/odd/${name}`])
    expect(performance.now() - startedAt).toBeLessThan(1_000)
    expectRefusal(answer, 400, TEXTS.notRegular, 'not_a_regular_file')
  })

  it('refuses a device', async ({ skip }) => {
    const path = runtime.local('/workspace/odd/zero')
    try {
      execFileSync('mknod', [path, 'c', '1', '5'], { stdio: 'ignore' })
    } catch {
      skip('devices may not be made here')
    }
    const answer = await ask(['path', '/workspace/odd/zero'])
    expectRefusal(answer, 400, TEXTS.notRegular, 'not_a_regular_file')
  })

  it('goes on serving files while many FIFOs are asked for', async () => {
    runtime.place('/workspace/odd/plain.txt', 'still served')
    const fifos = FIFOS.map((name) => ask(['path', `/workspace/odd/${name}`]))
    expect((await preview('/workspace/odd/plain.txt')).text).toBe('still served')
    for (const answer of await Promise.all(fifos)) expect(answer.status).toBe(400)
  })
})
