import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, utimesSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  FILE_CONTENT_PATH,
  type FileContent,
  MAX_CONTENT_BYTES,
} from '@atrium/runtime-contract/file-inspection'
import { beforeAll, describe, expect, it } from 'vitest'
import { peakResidentBytes, resetPeak, residentBytes } from '../../support/process-figures.ts'
import { type Answer, open, readAnswer, send } from '../../support/raw-client.ts'
import { expectSecurityHeaders } from '../../support/read-runtime.ts'
import { expectRefusal, runtime, shareRuntime } from '../../support/shared-runtime.ts'

const SESSION = 'abc1234'
const MIB = 1024 * 1024

shareRuntime()

function target(path: string, more = ''): string {
  const query = new URLSearchParams({ session: SESSION, path })
  return `${FILE_CONTENT_PATH}?${query}${more}`
}

function place(path: string, content: string | Uint8Array): string {
  return runtime.place(`/workspace/${SESSION}/${path}`, content)
}

function contentOf(answer: Answer): FileContent {
  expect([answer.status, answer.isComplete]).toEqual([200, true])
  expect(answer.headers['content-length']).toBe(`${answer.body.length}`)
  return JSON.parse(answer.body.toString())
}

async function content(path: string, offset?: number): Promise<FileContent> {
  return contentOf(
    await runtime.call(target(path, offset === undefined ? '' : `&offset=${offset}`)),
  )
}

describe('GET /internal/file/content: a window of a file of a session', () => {
  it.each([0, 1, 2, 3, 49_151, 49_152, 49_153, 98_304, 700_001])(
    'sends %i bytes as the base64 of them all',
    async (size) => {
      const bytes = randomBytes(size)
      place('some/file.bin', bytes)
      expect(await content('some/file.bin')).toEqual({
        path: 'some/file.bin',
        size,
        offset: 0,
        truncated: false,
        version: expect.stringMatching(/^[0-9a-z-]+$/),
        content_base64: bytes.toString('base64'),
      })
    },
  )

  it('ends after 8 MiB and says so; the next window begins where asked', async () => {
    const bytes = randomBytes(MAX_CONTENT_BYTES + 1_000)
    place('large.bin', bytes)
    const first = await content('large.bin')
    expect(first).toMatchObject({ size: bytes.length, offset: 0, truncated: true })
    const begun = Buffer.from(first.content_base64, 'base64')
    expect(begun.equals(bytes.subarray(0, MAX_CONTENT_BYTES))).toBe(true)
    const last = await content('large.bin', MAX_CONTENT_BYTES)
    expect(last).toMatchObject({ offset: MAX_CONTENT_BYTES, truncated: false })
    expect(last.version).toBe(first.version)
    const rest = Buffer.from(last.content_base64, 'base64')
    expect(rest.equals(bytes.subarray(MAX_CONTENT_BYTES))).toBe(true)
    for (const behind of [bytes.length, bytes.length + 1, Number.MAX_SAFE_INTEGER]) {
      const nothing = { offset: bytes.length, truncated: false, content_base64: '' }
      expect(await content('large.bin', behind)).toMatchObject(nothing)
    }
  })

  it('is as long as its head says, and HEAD tells the same without it', async () => {
    place('ünicode "quoted".txt', 'text')
    const got = await runtime.call(target('./ünicode "quoted".txt'))
    expect(contentOf(got)).toMatchObject({ path: './ünicode "quoted".txt' })
    const head = await runtime.call(target('./ünicode "quoted".txt'), { method: 'HEAD' })
    expect(head.headers['content-length']).toBe(`${got.body.length}`)
    expect(head.body).toHaveLength(0)
    for (const answer of [got, head]) {
      expect(answer.headers['content-type']).toBe('application/json')
      expectSecurityHeaders(answer)
    }
  })

  it('breaks the connection when the file shrinks or is written over meanwhile', async () => {
    const path = place('changing.bin', Buffer.alloc(MAX_CONTENT_BYTES, 'x'))
    const headers = { authorization: `Bearer ${runtime.secret}` }
    for (const change of [
      () => truncateSync(path, MAX_CONTENT_BYTES / 2),
      () => utimesSync(path, 1, 1),
    ]) {
      truncateSync(path, MAX_CONTENT_BYTES)
      // Its rest waits for a reader: the socket does not take all of it.
      const response = await open(new URL(target('changing.bin'), runtime.url), { headers })
      change()
      const answer = await readAnswer(response)
      expect(answer.isComplete).toBe(false)
    }
  })

  it('sends what there was of a file that grows', async () => {
    const path = place('growing.log', Buffer.alloc(MAX_CONTENT_BYTES, 'line '))
    const headers = { authorization: `Bearer ${runtime.secret}` }
    const response = await open(new URL(target('growing.log'), runtime.url), { headers })
    appendFileSync(path, 'more')
    const told = contentOf(await readAnswer(response))
    expect(told).toMatchObject({ size: MAX_CONTENT_BYTES, truncated: false })
  })
})

describe('GET /internal/file/content: what is refused', () => {
  beforeAll(() => {
    place('file.txt', 'text')
  })

  it('everybody without the credential, before anything else', async () => {
    for (const query of ['', '?session=no', `?session=${SESSION}&path=%ff`]) {
      const answer = await send(new URL(`${FILE_CONTENT_PATH}${query}`, runtime.url))
      expect(answer.status).toBe(401)
    }
  })

  it('a request that names no session: other files are read at /internal/file/read', async () => {
    runtime.place('/workspace/plain.txt')
    const answer = await runtime.call(`${FILE_CONTENT_PATH}?path=/workspace/plain.txt`)
    expectRefusal(answer, 400, 'session is required', 'invalid_query')
  })

  it('a window that is none', async () => {
    const message = `offset must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`
    for (const offset of ['-1', '', '1.5', '0x10', '%D9%A1']) {
      const answer = await runtime.call(target('file.txt', `&offset=${offset}`))
      expectRefusal(answer, 400, message, 'invalid_query')
    }
    const twice = await runtime.call(target('file.txt', '&offset=1&offset=1'))
    expectRefusal(twice, 400, 'offset must be given once', 'invalid_query')
  })

  it('another method, and a service worker’s script', async () => {
    const posted = await runtime.call(target('file.txt'), { method: 'POST' })
    expect([posted.status, posted.headers.allow]).toEqual([405, 'GET, HEAD'])
    const headers = { authorization: `Bearer ${runtime.secret}`, 'service-worker': 'script' }
    const script = await send(new URL(target('file.txt'), runtime.url), { headers })
    expectRefusal(script, 403, 'file is not readable', 'file_forbidden')
  })
})

describe('GET /internal/file/content: memory', () => {
  const REQUESTS = 32
  const READ_TO_THE_END = 2

  it('stays far below what 32 windows of 8 MiB would be', async () => {
    const base = mkdtempSync(join(tmpdir(), 'atrium-content-'))
    const bytes = randomBytes(MAX_CONTENT_BYTES)
    mkdirSync(join(base, 'workspace', SESSION), { recursive: true })
    await writeFile(join(base, 'workspace', SESSION, 'large.bin'), bytes)
    const child = fork(new URL('../../support/runtime-child.ts', import.meta.url), [base])
    const ended = once(child, 'exit')
    try {
      const [{ url, secret }] = await once(child, 'message')
      const pid = child.pid ?? 0
      const headers = { authorization: `Bearer ${secret}` }
      const ask = () => open(new URL(target('large.bin'), url), { headers })
      await readAnswer(await ask())
      resetPeak(pid)
      const before = residentBytes(pid)
      const responses = await Promise.all(Array.from({ length: REQUESTS }, ask))
      // They break off when the runtime ends.
      for (const response of responses.slice(READ_TO_THE_END)) response.on('error', () => undefined)
      for (const response of responses.slice(0, READ_TO_THE_END)) {
        const { content_base64 } = contentOf(await readAnswer(response))
        expect(Buffer.from(content_base64, 'base64').equals(bytes)).toBe(true)
      }
      const addedBytes = peakResidentBytes(pid) - before
      process.stdout.write(
        `content: ${REQUESTS} at once added ${Math.round(addedBytes / MIB)} MiB\n`,
      )
      expect(addedBytes).toBeLessThan(128 * MIB)
    } finally {
      child.kill('SIGKILL')
      await ended
      rmSync(base, { recursive: true })
    }
  })
})
