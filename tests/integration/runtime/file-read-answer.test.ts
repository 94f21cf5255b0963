import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { utimesSync, writeFileSync } from 'node:fs'
import { FILE_READ_PATH } from '@atrium/runtime-contract/file-transfer'
import { beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { send } from '../../support/raw-client.ts'
import { expectSecurityHeaders, sha256 } from '../../support/read-runtime.ts'
import { expectRefusal, runtime, shareRuntime } from '../../support/shared-runtime.ts'

shareRuntime()

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
