import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFileSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import {
  ALLOWED_ROOTS,
  FORMER_INBOUND_SECRET_FILE,
  INBOUND_SECRET_FILE,
} from '@atrium/path-safety/workspace-path'
import { FILE_READ_PATH } from '@atrium/runtime-contract/file-transfer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { tryMount } from '../../support/mounts.ts'
import { type Answer, errorCode, open, readAnswer, send } from '../../support/raw-client.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  startRuntimeHarness,
} from '../../support/runtime-harness.ts'

let runtime: RuntimeHarness
let openBefore: number

beforeAll(async () => {
  openBefore = openFiles()
  runtime = await startRuntimeHarness()
})

afterAll(async () => {
  await runtime.stop()
  await expectOpenFiles(openBefore)
})

function text(answer: Answer): unknown {
  const body: unknown = JSON.parse(answer.body.toString('utf8'))
  return typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined
}

function expectRefusal(answer: Answer, status: number, error: string, code: string): void {
  expect({ status: answer.status, error: text(answer), code: errorCode(answer) }).toEqual({
    status,
    error,
    code,
  })
}

const TEXTS = {
  required: 'path query required',
  absolute: 'path must be absolute',
  roots: 'path must be under /configs, /workspace, /home, or /plugins',
  invalid: 'invalid path',
  notRegular: 'path is not a regular file',
  notFound: 'file not found',
} as const

describe('GET /internal/file/read: the credential', () => {
  const target = `${FILE_READ_PATH}?path=/workspace/x.txt`

  it.each([
    ['none', undefined],
    ['a wrong one', 'Bearer wrong'],
    ['an empty one', 'Bearer '],
    ['another scheme', 'Basic wrong'],
    ['characters beyond ASCII', 'Bearer s\u00e9cret'],
  ])('refuses %s with 401 and nothing more', async (_, authorization) => {
    const headers = authorization === undefined ? {} : { authorization }
    const answer = await send(new URL(target, runtime.url), { headers })
    expectRefusal(answer, 401, 'unauthorized', 'unauthorized')
    expect(answer.headers['www-authenticate']).toBeUndefined()
  })

  it.each(['bearer', 'BEARER', 'Bearer '])(
    'compares the whole header: %s and the secret are refused',
    async (scheme) => {
      const headers = { authorization: `${scheme} ${runtime.secret}` }
      expect((await send(new URL(target, runtime.url), { headers })).status).toBe(401)
    },
  )

  it.each([
    ['no path', FILE_READ_PATH],
    ['an invalid path', `${FILE_READ_PATH}?path=%ff`],
    ['a path that does not exist', target],
    ['a route that does not exist', '/internal/nothing'],
    ['a method that is not served', FILE_READ_PATH],
  ])('comes before everything else: %s', async (name, where) => {
    const method = name.startsWith('a method') ? 'DELETE' : 'GET'
    expect((await send(new URL(where, runtime.url), { method })).status).toBe(401)
  })

  it.each([null, ''])('lets nobody in while there is no secret (%j)', async (secretFile) => {
    const closed = await startRuntimeHarness({ secretFile })
    try {
      for (const authorization of ['Bearer ', 'Bearer', 'Bearer undefined', 'Bearer null']) {
        const answer = await send(new URL(target, closed.url), { headers: { authorization } })
        expect(answer.status).toBe(401)
      }
    } finally {
      await closed.stop()
    }
  })

  it('is asked for below /internal even when the agent is open to everybody', async () => {
    const opened = await startRuntimeHarness({
      isA2aOpen: true,
      mountAgent: (app) => app.post('/', (c) => c.json({ agent: true })),
    })
    try {
      expect((await send(new URL('/', opened.url), { method: 'POST' })).status).toBe(200)
      expect((await send(new URL(target, opened.url))).status).toBe(401)
      expect((await send(new URL('/%69nternal/file/read', opened.url))).status).toBe(401)
    } finally {
      await opened.stop()
    }
  })

  it('is not asked for by GET /health', async () => {
    expect((await send(new URL('/health', runtime.url))).status).toBe(200)
    expect((await send(new URL('/health', runtime.url), { method: 'POST' })).status).toBe(401)
    expect((await send(new URL('/', runtime.url), { method: 'POST' })).status).toBe(401)
  })
})

describe('GET /internal/file/read: the path', () => {
  it.each([
    ['', TEXTS.required, 'path_required'],
    ['workspace/foo', TEXTS.absolute, 'path_not_absolute'],
    ['./foo', TEXTS.absolute, 'path_not_absolute'],
    ['/etc/passwd', TEXTS.roots, 'path_outside_roots'],
    ['/workspaceX/foo', TEXTS.roots, 'path_outside_roots'],
    ['/workspace-evil/foo', TEXTS.roots, 'path_outside_roots'],
    ['/root/.ssh/id', TEXTS.roots, 'path_outside_roots'],
    ['//workspace/foo', TEXTS.roots, 'path_outside_roots'],
    ['/', TEXTS.roots, 'path_outside_roots'],
    ['/workspace/../etc/passwd', TEXTS.invalid, 'invalid_path'],
    ['/workspace/a/../b', TEXTS.invalid, 'invalid_path'],
    ['/workspace//foo', TEXTS.invalid, 'invalid_path'],
    ['/workspace/./foo', TEXTS.invalid, 'invalid_path'],
    ['/workspace/foo/', TEXTS.invalid, 'invalid_path'],
    ['/workspace/', TEXTS.invalid, 'invalid_path'],
    ['/workspace/a\0b', TEXTS.invalid, 'invalid_path'],
    ['/workspace/a\nb', TEXTS.invalid, 'invalid_path'],
    [`/workspace/${'n'.repeat(256)}`, TEXTS.invalid, 'invalid_path'],
    [`/workspace/${'d/'.repeat(2100)}f`, TEXTS.invalid, 'invalid_path'],
    ['/workspace', TEXTS.notRegular, 'not_a_regular_file'],
  ])('refuses %j with 400', async (path, error, code) => {
    expectRefusal(await runtime.read(path), 400, error, code)
  })

  it('refuses a request without any path', async () => {
    const answer = await runtime.call(FILE_READ_PATH)
    expectRefusal(answer, 400, TEXTS.required, 'path_required')
  })

  it('refuses a repeated path, whichever one is legal', async () => {
    runtime.place('/workspace/once.txt')
    const query = 'path=/workspace/once.txt&path=/workspace/once.txt'
    expectRefusal(
      await runtime.call(`${FILE_READ_PATH}?${query}`),
      400,
      TEXTS.invalid,
      'invalid_path',
    )
  })

  it.each([
    '/workspace/%ff',
    '/workspace/%',
    '/workspace/%zz',
    '/workspace/%c0%af',
    '/workspace/%ed%a0%80',
  ])('refuses %s, which is not UTF-8', async (encoded) => {
    const answer = await runtime.call(`${FILE_READ_PATH}?path=${encoded}`)
    expectRefusal(answer, 400, TEXTS.invalid, 'invalid_path')
  })

  it.each([
    '/workspace/foo.txt',
    '/workspace/a..b.txt',
    '/workspace/..hidden',
    '/workspace/deep/er/still/file.bin',
    '/workspace/%2e%2e',
    '/workspace/a+b & c#d?.txt',
    '/workspace/back\\slash.txt',
    '/workspace/\u540d\u524d.txt',
    '/workspace/re\u0301sume\u0301.txt',
    '/configs/config.yaml',
    '/home/agent/x',
    '/plugins/a/b',
  ])('serves %s', async (path) => {
    runtime.place(path, `content of ${path}`)
    const answer = await runtime.read(path)
    expect(answer.status).toBe(200)
    expect(answer.body.toString()).toBe(`content of ${path}`)
  })

  it('keeps NFC and NFD names apart', async () => {
    runtime.place('/workspace/nf/\u00e9', 'composed')
    runtime.place('/workspace/nf/e\u0301', 'decomposed')
    expect((await runtime.read('/workspace/nf/\u00e9')).body.toString()).toBe('composed')
    expect((await runtime.read('/workspace/nf/e\u0301')).body.toString()).toBe('decomposed')
  })

  it.each([
    ['a file', '/workspace/absent.txt'],
    ['a folder', '/workspace/absent/file.txt'],
    ['anything below a file', '/workspace/plain.txt/below'],
  ])('answers 404 when there is no such thing: %s', async (_, path) => {
    runtime.place('/workspace/plain.txt')
    expectRefusal(await runtime.read(path), 404, TEXTS.notFound, 'file_not_found')
  })

  it('answers 405 to another method and says which are served', async () => {
    const answer = await runtime.call(`${FILE_READ_PATH}?path=/workspace/x`, { method: 'POST' })
    expect(answer.status).toBe(405)
    expect(answer.headers.allow).toBe('GET, HEAD')
  })

  it.each(ALLOWED_ROOTS)('answers 404 below /%s when that folder does not exist', async (root) => {
    const bare = await startRuntimeHarness({ absentRoots: [root] })
    try {
      const answer = await bare.read(`/${root}/x`)
      expectRefusal(answer, 404, TEXTS.notFound, 'file_not_found')
    } finally {
      await bare.stop()
    }
  })
})

describe('GET /internal/file/read: what lies there', () => {
  const SECRET_TEXT = 'outside and not to be read'
  let outside: string

  beforeAll(() => {
    outside = runtime.place('/outside/secret.txt', SECRET_TEXT)
  })

  it.each([
    ['a folder', () => mkdirSync(runtime.local('/workspace/kind/folder'), { recursive: true })],
    ['fifo', () => execFileSync('mkfifo', [runtime.local('/workspace/kind/fifo')])],
  ])('refuses %s without waiting for anybody to write', async (name, make) => {
    mkdirSync(runtime.local('/workspace/kind'), { recursive: true })
    make()
    const answer = await runtime.read(`/workspace/kind/${name.replace('a ', '')}`)
    expectRefusal(answer, 400, TEXTS.notRegular, 'not_a_regular_file')
  })

  it('refuses a socket and stays responsive with many FIFOs asked for', async () => {
    mkdirSync(runtime.local('/workspace/many'), { recursive: true })
    const server = createServer()
    await new Promise<void>((resolve) => {
      server.listen(runtime.local('/workspace/many/socket'), resolve)
    })
    const names = Array.from({ length: 16 }, (_, index) => `fifo${index}`)
    for (const name of names) execFileSync('mkfifo', [runtime.local(`/workspace/many/${name}`)])
    runtime.place('/workspace/many/plain.txt', 'still served')
    const fifos = names.map((name) => runtime.read(`/workspace/many/${name}`))
    const plain = await runtime.read('/workspace/many/plain.txt')
    expect(plain.body.toString()).toBe('still served')
    for (const answer of await Promise.all(fifos)) expect(answer.status).toBe(400)
    const answer = await runtime.read('/workspace/many/socket')
    expectRefusal(answer, 400, TEXTS.notRegular, 'not_a_regular_file')
    await once(server.close(), 'close')
  })

  it('refuses a symlink in the last place, wherever it leads', async () => {
    mkdirSync(runtime.local('/workspace/links'), { recursive: true })
    runtime.place('/workspace/links/target.txt')
    for (const [name, target] of [
      ['absolute', '/etc/passwd'],
      ['outside', outside],
      ['inside', 'target.txt'],
      ['dangling', 'nowhere'],
      ['loop', 'loop'],
    ] as const) {
      symlinkSync(target, runtime.local(`/workspace/links/${name}`))
      const answer = await runtime.read(`/workspace/links/${name}`)
      expectRefusal(answer, 400, TEXTS.notRegular, 'not_a_regular_file')
    }
  })

  it('never goes through a symlinked folder, not even one that stays inside', async () => {
    runtime.place('/workspace/real/file.txt', 'inside')
    symlinkSync('/etc', runtime.local('/workspace/to-etc'))
    symlinkSync(runtime.local('/outside'), runtime.local('/workspace/to-outside'))
    symlinkSync('real', runtime.local('/workspace/to-real'))
    for (const path of ['to-etc/passwd', 'to-outside/secret.txt', 'to-real/file.txt']) {
      const answer = await runtime.read(`/workspace/${path}`)
      expectRefusal(answer, 404, TEXTS.notFound, 'file_not_found')
    }
  })

  it('refuses a hard link below /configs and allows it in the workspace', async () => {
    linkSync(outside, runtime.local('/configs/linked.txt'))
    linkSync(outside, runtime.local('/workspace/linked.txt'))
    const refused = await runtime.read('/configs/linked.txt')
    expectRefusal(refused, 403, 'file is not readable', 'file_forbidden')
    expect((await runtime.read('/workspace/linked.txt')).status).toBe(200)
  })

  it.each([
    '/configs/.platform_inbound_secret',
    '/configs/.auth_token',
    '/configs/.auth-token',
    '/configs/.PLATFORM_INBOUND_SECRET',
    '/configs/.platform_inbound_secret.tmp',
    `/configs/${FORMER_INBOUND_SECRET_FILE}`,
    '/configs/.auth_token~',
  ])('answers as if %s did not exist', async (path) => {
    runtime.place('/configs/.auth_token', 'token')
    runtime.place('/configs/.auth_token~', 'token')
    runtime.place('/configs/.auth-token', 'token')
    runtime.place('/configs/.platform_inbound_secret.tmp', 'token')
    runtime.place(`/configs/${FORMER_INBOUND_SECRET_FILE}`, 'token')
    expectRefusal(await runtime.read(path), 404, TEXTS.notFound, 'file_not_found')
  })

  it.each([INBOUND_SECRET_FILE, FORMER_INBOUND_SECRET_FILE])(
    'refuses %s through a hard link of another name',
    async (name) => {
      if (name === FORMER_INBOUND_SECRET_FILE) runtime.place(`/configs/${name}`, 'token')
      linkSync(runtime.local(`/configs/${name}`), runtime.local('/workspace/s.txt'))
      const answer = await runtime.read('/workspace/s.txt')
      expectRefusal(answer, 404, TEXTS.notFound, 'file_not_found')
      rmSync(runtime.local('/workspace/s.txt'))
    },
  )

  it('refuses the credentials through a mount of their folder or of themselves', async ({
    skip,
  }) => {
    const secret = runtime.local(`/configs/${INBOUND_SECRET_FILE}`)
    mkdirSync(runtime.local('/workspace/bound'))
    runtime.place('/workspace/bound.txt')
    runtime.place('/configs/bound.yaml', 'no secret')
    const unmounts = [
      tryMount(['--bind'], runtime.local('/configs'), runtime.local('/workspace/bound')),
      tryMount(['--bind'], secret, runtime.local('/workspace/bound.txt')),
    ]
    try {
      if (unmounts.includes(undefined)) return skip('bind mounts are not allowed here')
      expect((await runtime.read('/workspace/bound/bound.yaml')).body.toString()).toBe('no secret')
      for (const path of [`/workspace/bound/${INBOUND_SECRET_FILE}`, '/workspace/bound.txt']) {
        expectRefusal(await runtime.read(path), 404, TEXTS.notFound, 'file_not_found')
      }
    } finally {
      for (const unmount of unmounts) unmount?.()
    }
  })

  it('refuses the credentials where the operator moved them below another root', async () => {
    const moved = await startRuntimeHarness()
    const again = await startRuntimeHarness({
      base: moved.local('/'),
      credentialsDirectory: moved.local('/home/credentials'),
    })
    try {
      again.place('/home/credentials/.auth_token', 'token')
      again.place('/home/credentials/readme.txt', 'readme')
      expect((await again.read('/home/credentials/.auth_token')).status).toBe(404)
      expect((await again.read('/home/credentials/readme.txt')).status).toBe(200)
    } finally {
      await again.stop()
      await moved.stop()
    }
  })

  it.each(['part', 'list'])('does not show an upload that is not finished: .%s', async (kind) => {
    const name = `.up-${'0'.repeat(24)}.${kind}`
    runtime.place(`/workspace/.molecule/chat-uploads/${name}`)
    const answer = await runtime.read(`/workspace/.molecule/chat-uploads/${name}`)
    expectRefusal(answer, 404, TEXTS.notFound, 'file_not_found')
  })
})

describe('GET /internal/file/read: the answer', () => {
  it('carries length, type, disposition, validators and the security headers', async () => {
    runtime.place('/workspace/report.csv', 'a,b\n1,2\n')
    const answer = await runtime.read('/workspace/report.csv')
    expect(answer.headers).toMatchObject({
      'content-length': '8',
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': `attachment; filename="report.csv"; filename*=UTF-8''report.csv`,
      'accept-ranges': 'bytes',
    })
    expect(answer.headers.etag).toMatch(/^"[\w-]+"$/)
    expect(Date.parse(answer.headers['last-modified'] ?? '')).not.toBeNaN()
    expectSecurityHeaders(answer)
  })

  it.each([
    'page.html',
    'image.svg',
    'code.js',
    'style.css',
    'doc.pdf',
    'feed.xml',
    'mod.wasm',
    'x.unknown',
  ])('serves %s as bytes and nothing a browser would run', async (name) => {
    runtime.place(`/workspace/${name}`)
    const answer = await runtime.read(`/workspace/${name}`)
    expect(answer.headers['content-type']).toBe('application/octet-stream')
  })

  it.each([
    ['quote"d.txt', '"quote\\"d.txt"', 'quote%22d.txt'],
    ['back\\slash.txt', '"back\\\\slash.txt"', 'back%5Cslash.txt'],
    ['\u540d\u524d.txt', '"__.txt"', '%E5%90%8D%E5%89%8D.txt'],
    ['r\u00e9sum\u00e9.txt', '"r_sum_.txt"', 'r%C3%A9sum%C3%A9.txt'],
    ["it's (1)*!.txt", '"it\'s (1)*!.txt"', 'it%27s%20%281%29%2A%21.txt'],
  ])('names %s in both forms of the disposition', async (name, quoted, encoded) => {
    runtime.place(`/workspace/${name}`)
    const answer = await runtime.read(`/workspace/${name}`)
    expect(answer.headers['content-disposition']).toBe(
      `attachment; filename=${quoted}; filename*=UTF-8''${encoded}`,
    )
  })

  it('has the security headers on refusals too, the 401 included', async () => {
    for (const answer of [
      await runtime.read('/workspace/absent'),
      await runtime.read('/etc/passwd'),
      await runtime.call('/internal/nothing'),
      await send(runtime.readUrl('/workspace/x')),
      await runtime.call(FILE_READ_PATH, { method: 'PUT' }),
    ]) {
      expectSecurityHeaders(answer)
    }
  })

  it('refuses to be the script of a service worker', async () => {
    runtime.place('/workspace/worker.js')
    const headers = { 'service-worker': 'script' }
    expect((await runtime.read('/workspace/worker.js', { headers })).status).toBe(403)
  })

  it('says hop, retryable and request_id in every error', async () => {
    const headers = { 'x-request-id': 'req-12345678' }
    const answer = await runtime.read('/workspace/absent', { headers })
    expect(JSON.parse(answer.body.toString())).toEqual({
      error: 'file not found',
      code: 'file_not_found',
      hop: 'workspace',
      retryable: false,
      request_id: 'req-12345678',
    })
    expect(answer.headers['x-request-id']).toBe('req-12345678')
  })

  it('serves an empty file', async () => {
    runtime.place('/workspace/empty.bin', '')
    const answer = await runtime.read('/workspace/empty.bin')
    expect([answer.status, answer.headers['content-length']]).toEqual([200, '0'])
    const ranged = await runtime.read('/workspace/empty.bin', { headers: { range: 'bytes=0-' } })
    expect(ranged.status).toBe(200)
  })

  it.each([1, 512 * 1024 - 1, 512 * 1024, 512 * 1024 + 1, 1024 * 1024, 5_000_011])(
    'serves %i bytes unchanged',
    async (size) => {
      const content = randomBytes(size)
      runtime.place('/workspace/sized.bin', content)
      const answer = await runtime.read('/workspace/sized.bin')
      expect(answer.headers['content-length']).toBe(String(size))
      expect(sha256(answer.body)).toBe(sha256(content))
    },
  )

  it('answers HEAD with the same headers and no body', async () => {
    runtime.place('/workspace/head.txt', '0123456789')
    const got = await runtime.read('/workspace/head.txt')
    const head = await runtime.read('/workspace/head.txt', {
      method: 'HEAD',
      headers: { range: 'bytes=0-3' },
    })
    expect(head.status).toBe(200)
    expect(head.body).toHaveLength(0)
    for (const name of ['content-length', 'content-type', 'etag', 'content-disposition']) {
      expect(head.headers[name]).toBe(got.headers[name])
    }
    expect((await runtime.read('/workspace/absent', { method: 'HEAD' })).status).toBe(404)
  })

  it('serves a file that only its owner may read as forbidden to others', async ({ skip }) => {
    if (process.geteuid?.() === 0) skip('root may read everything')
    const path = runtime.place('/workspace/private.txt')
    execFileSync('chmod', ['000', path])
    const answer = await runtime.read('/workspace/private.txt')
    expectRefusal(answer, 403, 'file is not readable', 'file_forbidden')
  })
})

describe('GET /internal/file/read: ranges and conditions', () => {
  const CONTENT = '0123456789'
  let etag: string
  let lastModified: string

  beforeAll(async () => {
    const path = runtime.place('/workspace/ranged.txt', CONTENT)
    const past = new Date(Date.now() - 60_000)
    utimesSync(path, past, past)
    const answer = await runtime.read('/workspace/ranged.txt')
    etag = answer.headers.etag ?? ''
    lastModified = answer.headers['last-modified'] ?? ''
  })

  const get = (headers: Record<string, string>) =>
    runtime.read('/workspace/ranged.txt', { headers })

  it.each([
    ['bytes=0-3', '0123', 'bytes 0-3/10'],
    ['bytes=4-', '456789', 'bytes 4-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=9-99', '9', 'bytes 9-9/10'],
    ['bytes=-99', CONTENT, 'bytes 0-9/10'],
    ['bytes=0-', CONTENT, 'bytes 0-9/10'],
    ['BYTES=1-1', '1', 'bytes 1-1/10'],
  ])('answers %s with 206', async (range, body, contentRange) => {
    const answer = await get({ range })
    expect([answer.status, answer.body.toString()]).toEqual([206, body])
    expect(answer.headers).toMatchObject({
      'content-range': contentRange,
      'content-length': String(body.length),
      etag,
      'content-disposition': expect.stringContaining('attachment'),
    })
    expectSecurityHeaders(answer)
  })

  it.each(['bytes=10-', 'bytes=99-100', 'bytes=-0', 'bytes=99999999999999999999-'])(
    'answers %s with 416 and the length',
    async (range) => {
      const answer = await get({ range })
      expectRefusal(answer, 416, 'range not satisfiable', 'range_not_satisfiable')
      expect(answer.headers['content-range']).toBe('bytes */10')
      expectSecurityHeaders(answer)
    },
  )

  it.each([
    'bytes=0-1,3-4',
    'bytes=5-3',
    'bytes=-',
    'bytes=a-b',
    'lines=0-1',
    'bytes 0-1',
    'bytes=0-1,',
  ])('ignores %s', async (range) => {
    const answer = await get({ range })
    expect([answer.status, answer.body.toString()]).toEqual([200, CONTENT])
  })

  it('answers a part while If-Range still names this file, and the whole otherwise', async () => {
    const range = 'bytes=0-3'
    const status = async (ifRange: string): Promise<number> =>
      (await get({ range, 'if-range': ifRange })).status
    expect(await status(etag)).toBe(206)
    expect(await status(lastModified)).toBe(206)
    expect(await status('"another"')).toBe(200)
    expect(await status(`W/${etag}`)).toBe(200)
    expect(await status('Sat, 21 Nov 2020 00:00:00 GMT')).toBe(200)
    expect(await status('nonsense')).toBe(200)
  })

  it('does not trust a date of this very second in If-Range', async () => {
    const soon = new Date(Date.now() + 5_000)
    utimesSync(runtime.place('/workspace/fresh.txt', CONTENT), soon, soon)
    const first = await runtime.read('/workspace/fresh.txt')
    for (const date of [first.headers['last-modified'] ?? '', soon.toUTCString()]) {
      const headers = { range: 'bytes=0-3', 'if-range': date }
      expect((await runtime.read('/workspace/fresh.txt', { headers })).status).toBe(200)
    }
  })

  // RFC 9110 s8.8.2.1: "An origin server with a clock MUST NOT generate a Last-Modified date that
  // is later than the server's time of message origination".
  it.each([4_000_000_000, -86_400])(
    'never says a Last-Modified that HTTP has no date for: %i',
    async (seconds) => {
      const path = runtime.place('/workspace/dated.txt', CONTENT)
      // Node takes a time before 1970 for now.
      execFileSync('touch', ['-d', `@${seconds}`, path])
      const { headers } = await runtime.read('/workspace/dated.txt')
      const modified = Date.parse(headers['last-modified'] ?? '')
      expect(modified).toBeGreaterThanOrEqual(0)
      // Node's own Date header is a second old at most.
      expect(modified).toBeLessThanOrEqual(Date.parse(headers.date ?? '') + 1_000)
    },
  )

  it('answers 304 when If-None-Match names this file', async () => {
    for (const value of [etag, `W/${etag}`, '*', `"a,b", ${etag}`]) {
      const answer = await get({ 'if-none-match': value })
      expect([answer.status, answer.body.length, answer.headers.etag]).toEqual([304, 0, etag])
      expectSecurityHeaders(answer)
    }
    expect((await get({ 'if-none-match': '"other"' })).status).toBe(200)
    expect((await get({ 'if-none-match': etag, range: 'bytes=0-3' })).status).toBe(304)
  })

  it('changes the ETag with every change, also one that keeps size and time', async () => {
    const path = runtime.place('/workspace/tagged.txt', 'aaaa')
    const past = new Date(Date.now() - 60_000)
    utimesSync(path, past, past)
    const before = (await runtime.read('/workspace/tagged.txt')).headers.etag
    // The kernel's clock for inodes ticks every few milliseconds.
    await eventually(async () => {
      writeFileSync(path, 'bbbb')
      utimesSync(path, past, past)
      return (await runtime.read('/workspace/tagged.txt')).headers.etag !== before
    })
  })
})

describe('GET /internal/file/read: a file or a client that goes away', () => {
  const SIZE = 48 * 1024 * 1024

  async function startedDownload(path: string) {
    const headers = { authorization: `Bearer ${runtime.secret}` }
    const response = await open(runtime.readUrl(path), { headers })
    expect(response.statusCode).toBe(200)
    return response
  }

  it('sends every byte unchanged to clients that read in fits and starts', async () => {
    const content = randomBytes(SIZE)
    runtime.place('/workspace/stuttering.bin', content)
    const digests = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const hash = createHash('sha256')
        let unread = 0
        for await (const piece of await startedDownload('/workspace/stuttering.bin')) {
          hash.update(piece)
          unread += piece.length
          // Long enough for the socket to fill up and for both buffers to wait.
          if (unread > SIZE / 20) unread = await delay(15, 0)
        }
        return hash.digest('hex')
      }),
    )
    expect(digests).toEqual(Array.from({ length: 3 }, () => sha256(content)))
  })

  it('breaks the connection when the file shrinks while it is sent', async () => {
    const path = runtime.place('/workspace/shrinking.bin', Buffer.alloc(SIZE))
    const response = await startedDownload('/workspace/shrinking.bin')
    truncateSync(path, 1024)
    const answer = await readAnswer(response)
    expect(answer.isComplete).toBe(false)
    expect(answer.body.length).toBeLessThan(SIZE)
  })

  it('breaks the connection when the file is written over while it is sent', async () => {
    const path = runtime.place('/workspace/changing.bin', Buffer.alloc(SIZE))
    const response = await startedDownload('/workspace/changing.bin')
    const fd = openSync(path, 'r+')
    writeSync(fd, 'other', 0)
    closeSync(fd)
    const answer = await readAnswer(response)
    expect(answer.isComplete).toBe(false)
    expect(answer.body.length).toBeLessThan(SIZE)
  })

  it('sends what was there when it was opened of a file that grows', async () => {
    const path = runtime.place('/workspace/growing.log', Buffer.alloc(SIZE, 'line '))
    const response = await startedDownload('/workspace/growing.log')
    appendFileSync(path, 'more')
    const answer = await readAnswer(response)
    expect(answer.isComplete).toBe(true)
    expect(answer.body.equals(Buffer.alloc(SIZE, 'line '))).toBe(true)
  })

  it('sends a file to its end that is renamed, linked or removed meanwhile', async () => {
    const path = runtime.place('/workspace/removed.bin', Buffer.alloc(SIZE))
    const response = await startedDownload('/workspace/removed.bin')
    linkSync(path, `${path}.link`)
    rmSync(path)
    const answer = await readAnswer(response)
    expect([answer.isComplete, answer.body.length]).toEqual([true, SIZE])
  })

  it('closes the file when the client goes away', async () => {
    runtime.place('/workspace/abandoned.bin', Buffer.alloc(SIZE))
    const before = openFiles()
    const downloads = await Promise.all(
      Array.from({ length: 5 }, () => startedDownload('/workspace/abandoned.bin')),
    )
    expect(openFiles()).toBeGreaterThan(before)
    for (const response of downloads) response.destroy()
    await expectOpenFiles(before)
  })

  it('breaks off when the client does not read for too long', async () => {
    const impatient = await startRuntimeHarness({ idleTimeoutMs: 300 })
    try {
      impatient.place('/workspace/slow.bin', Buffer.alloc(SIZE))
      const headers = { authorization: `Bearer ${impatient.secret}` }
      const before = openFiles()
      const response = await open(impatient.readUrl('/workspace/slow.bin'), { headers })
      response.pause()
      await expectOpenFiles(before)
      expect((await readAnswer(response)).isComplete).toBe(false)
    } finally {
      await impatient.stop()
    }
  })

  it('opens no descriptor that it does not close, whatever the answer', async () => {
    const before = openFiles()
    for (const path of [
      '/workspace/foo.txt',
      '/workspace/links/absolute',
      '/workspace/absent/x',
      '/workspace/kind/fifo',
      '/configs/linked.txt',
      '/configs/.auth_token',
      '/workspace/deep/er',
    ]) {
      for (let round = 0; round < 20; round += 1) await runtime.read(path)
    }
    await expectOpenFiles(before)
  })
})

function expectSecurityHeaders(answer: Answer): void {
  for (const [name, value] of Object.entries(FILE_SECURITY_HEADERS)) {
    expect(answer.headers[name.toLowerCase()]).toBe(value)
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
