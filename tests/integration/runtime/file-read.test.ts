import { ALLOWED_ROOTS } from '@atrium/path-safety/workspace-path'
import { FILE_READ_PATH } from '@atrium/runtime-contract/file-transfer'
import { describe, expect, it } from 'vitest'
import { send } from '../../support/raw-client.ts'
import { TEXTS } from '../../support/read-runtime.ts'
import { startRuntimeHarness } from '../../support/runtime-harness.ts'
import { expectRefusal, runtime, shareRuntime } from '../../support/shared-runtime.ts'

shareRuntime()

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
