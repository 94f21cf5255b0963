import { fork } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { type ClientRequest, IncomingMessage } from 'node:http'
import { connect, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '@atrium/http-kit/app-error'
import { systemIds } from '@atrium/http-kit/clock'
import { INGEST_PATH, type StoredFile, UPLOADS_DIR } from '@atrium/runtime-contract/file-transfer'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ingestUpload } from '../../../apps/workspace-runtime/src/files/ingest-upload.ts'
import { readMultipart } from '../../../apps/workspace-runtime/src/files/read-multipart.ts'
import { eventually } from '../../support/eventually.ts'
import { tryMount } from '../../support/mounts.ts'
import {
  type Form,
  type FormPart,
  formHeaders,
  multipartForm,
  partHead,
} from '../../support/multipart-form.ts'
import { type Answer, begin, errorCode, readAnswer, send } from '../../support/raw-client.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  type RuntimeOptions,
  startRuntimeHarness,
} from '../../support/runtime-harness.ts'

const MIB = 1024 ** 2

let runtime: RuntimeHarness
let openBefore: number

beforeAll(async () => {
  openBefore = openFiles()
  runtime = await startRuntimeHarness()
})

afterEach(() => {
  rmSync(runtime.local('/workspace/.molecule'), { recursive: true, force: true })
})

afterAll(async () => {
  await runtime.stop()
  await expectOpenFiles(openBefore)
})

function upload(parts: readonly FormPart[], to: RuntimeHarness = runtime): Promise<Answer> {
  return post(multipartForm(parts), to)
}

function post(form: Form, to: RuntimeHarness = runtime): Promise<Answer> {
  const headers = { authorization: `Bearer ${to.secret}`, ...form.headers }
  return send(to.ingestUrl(), { method: 'POST', headers, body: form.body })
}

/** Without a Content-Length: node sends pieces in chunked encoding. */
async function postChunked(
  headers: Record<string, string>,
  pieces: Iterable<Buffer>,
  to = runtime,
) {
  const request = begin(to.ingestUrl(), {
    method: 'POST',
    headers: { authorization: `Bearer ${to.secret}`, ...headers },
  })
  let isAnswered = false
  const answered = once(request, 'response')
  request.once('response', () => {
    isAnswered = true
  })
  // A refusal may close the connection under what is still being sent.
  request.on('error', () => undefined)
  for (const piece of pieces) {
    if (request.destroyed || isAnswered) break
    if (!request.write(piece)) await Promise.race([drained(request), answered])
  }
  request.end()
  const [response] = await answered
  return readAnswer(response)
}

/** Also when the connection breaks: what was answered before is still to be read. */
function drained(request: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    function done(): void {
      request.off('drain', done)
      request.off('close', done)
      resolve()
    }
    request.on('drain', done)
    request.on('close', done)
  })
}

function filesOf(answer: Answer): StoredFile[] {
  const body = JSON.parse(answer.body.toString('utf8'))
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body}`)
  return body.files
}

function expectRefusal(answer: Answer, status: number, error: string, code: string): void {
  const body = JSON.parse(answer.body.toString('utf8'))
  expect({ status: answer.status, error: body.error, code: errorCode(answer) }).toEqual({
    status,
    error,
    code,
  })
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function withRuntime(
  options: RuntimeOptions,
  use: (own: RuntimeHarness) => Promise<void>,
): Promise<void> {
  const own = await startRuntimeHarness(options)
  try {
    await use(own)
  } finally {
    await own.stop()
  }
}

describe('POST /internal/chat/uploads/ingest: accepts', () => {
  it('one file, and answers what was stored', async () => {
    const content = randomBytes(100_000)
    const [file, ...others] = filesOf(
      await upload([{ filename: 'greeting.txt', type: 'text/plain', content }]),
    )
    expect(others).toEqual([])
    expect(file).toEqual({
      uri: expect.stringMatching(
        /^workspace:\/workspace\/\.molecule\/chat-uploads\/[0-9a-f]{32}-greeting\.txt$/,
      ),
      name: 'greeting.txt',
      mimeType: 'text/plain',
      size: 100_000,
      sha256: sha256(content),
    })
    const path = file?.uri.replace('workspace:', '') ?? ''
    expect(readFileSync(runtime.local(path))).toEqual(content)
    expect((await runtime.read(path)).body).toEqual(content)
  })

  it('several files in their order, equal names included', async () => {
    const parts = ['b.txt', 'a.txt', 'a.txt'].map((filename, index) => ({
      filename,
      content: `content ${index}`,
    }))
    const files = filesOf(await upload(parts))
    expect(files.map(({ name, sha256: digest }) => [name, digest])).toEqual(
      parts.map(({ filename, content }) => [filename, sha256(content)]),
    )
    expect(new Set(files.map(({ uri }) => uri)).size).toBe(3)
    expect(runtime.stored()).toHaveLength(3)
  })

  it('an empty file', async () => {
    const files = filesOf(
      await upload([
        { filename: 'first.txt', content: '' },
        { filename: 'last.txt', content: '' },
      ]),
    )
    expect(files.map(({ size }) => size)).toEqual([0, 0])
    expect(files[0]?.sha256).toBe(sha256(''))
  })

  it('other fields beside the files, and ignores them', async () => {
    const files = filesOf(
      await upload([
        { field: 'note', content: 'text' },
        { filename: 'a.txt', content: 'a' },
        { field: 'other', filename: 'not-stored.txt', content: 'x'.repeat(300_000) },
        { field: 'files', content: 'only text' },
        { filename: 'b.txt', content: 'b' },
      ]),
    )
    expect(files.map(({ name }) => name)).toEqual(['a.txt', 'b.txt'])
    expect(runtime.stored()).toHaveLength(2)
  })

  it.each([
    ['image/png', 'x.txt', 'image/png'],
    ['text/plain; charset=utf-16', 'x.txt', 'text/plain; charset=utf-16'],
    ['Text/HTML', 'x.txt', 'Text/HTML'],
    [undefined, 'photo.png', 'image/png'],
    [undefined, 'notes.txt', 'text/plain'],
    [undefined, 'unknown.zzz', ''],
    ['not a type', 'photo.png', 'image/png'],
  ])('the type %j of %s as %j', async (type, filename, mimeType) => {
    const part = { filename, content: 'x', ...(type === undefined ? {} : { type }) }
    expect(filesOf(await upload([part]))[0]?.mimeType).toBe(mimeType)
  })

  it.each([
    ['../../../etc/passwd', 'passwd'],
    ['/etc/passwd', 'passwd'],
    ['C:\\dir\\report.pdf', 'report.pdf'],
    ['weird;$name`.txt', 'weird__name_.txt'],
    ['\u5831\u544a\u66f8.pdf', '\u5831\u544a\u66f8.pdf'],
    ['.env', 'env'],
    ['-rf', 'rf'],
    ['a..b.txt', 'a..b.txt'],
    ['with \\"quotes\\".txt', 'with__quotes_.txt'],
    ['semi; colon=1.txt', 'semi__colon_1.txt'],
    ['con.txt', '_con.txt'],
    ['', 'file'],
    ['..', 'file'],
    ['\u202etxt.exe', 'txt.exe'],
  ])('a file named %j as %j', async (filename, name) => {
    const [file] = filesOf(await upload([{ filename, content: 'x' }]))
    expect(file?.name).toBe(name)
    const path = file?.uri.replace('workspace:', '') ?? ''
    expect((await runtime.read(path)).body.toString()).toBe('x')
  })

  it('a file whose name comes only as filename*', async () => {
    const boundary = 'extended'
    const body = Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="files"; filename*=UTF-8''na%C3%AFve.txt\r\n\r\nx\r\n--${boundary}--`,
    )
    const [file] = filesOf(await post({ headers: formHeaders(boundary), body }))
    expect(file?.name).toBe('na\u00efve.txt')
  })

  it('content that looks like delimiters', async () => {
    const boundary = '----form'
    const content = Buffer.from(`\r\n--${boundary.slice(0, -1)}x\r\n----for\r\n--\r\n\r\n\r\r\n--`)
    const body = Buffer.concat([
      partHead(boundary, { filename: 'x.bin' }),
      content,
      Buffer.from(`\r\n--${boundary}--\r\nand an epilogue that nobody reads`),
    ])
    const [file] = filesOf(await post({ headers: formHeaders(boundary), body }))
    expect(file).toMatchObject({ size: content.length, sha256: sha256(content) })
  })

  it('a body that arrives byte by byte', async () => {
    const content = randomBytes(300)
    const { headers, body } = multipartForm([{ filename: 'slow.bin', content }])
    const answer = await postChunked(
      headers,
      Array.from(body, (byte) => Buffer.of(byte)),
    )
    expect(filesOf(answer)[0]?.sha256).toBe(sha256(content))
  })

  it.each([524_287, 524_288, 524_289, 3 * MIB + 17])('%i bytes unchanged', async (size) => {
    const content = randomBytes(size)
    const [file] = filesOf(await upload([{ filename: 'sized.bin', content }]))
    expect(file).toMatchObject({ size, sha256: sha256(content) })
    const stored = readFileSync(runtime.local(file?.uri.replace('workspace:', '') ?? ''))
    expect(sha256(stored)).toBe(sha256(content))
  })

  it('exactly 25 MiB of one file', async () => {
    const [file] = filesOf(
      await upload([{ filename: 'full.bin', content: Buffer.alloc(25 * MIB) }]),
    )
    expect(file?.size).toBe(26_214_400)
  })

  it('exactly 50 MiB of files without a declared length', async () => {
    const boundary = 'two'
    const half = Buffer.alloc(25 * MIB)
    const answer = await postChunked(formHeaders(boundary), [
      partHead(boundary, { filename: 'a.bin' }),
      half,
      Buffer.from('\r\n'),
      partHead(boundary, { filename: 'b.bin' }),
      half,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ])
    expect(filesOf(answer).map(({ size }) => size)).toEqual([25 * MIB, 25 * MIB])
  })

  it('the most files that are allowed', async () => {
    const parts = Array.from({ length: 64 }, (_, index) => ({
      filename: `${index}.txt`,
      content: String(index),
    }))
    // Their temporaries are made by several threads and ready in any order, the more so when busy.
    const answers = await Promise.all(Array.from({ length: 8 }, () => upload(parts)))
    for (const files of answers.map(filesOf)) {
      expect(files.map(({ name }) => name)).toEqual(parts.map(({ filename }) => filename))
      expect(files.map((file) => file.sha256)).toEqual(parts.map(({ content }) => sha256(content)))
    }
  })

  it('many uploads at once, each its own', async () => {
    const contents = Array.from({ length: 12 }, () => randomBytes(700_000))
    const answers = await Promise.all(
      contents.map((content) => upload([{ filename: 'same.bin', content }])),
    )
    expect(answers.map((answer) => filesOf(answer)[0]?.sha256)).toEqual(contents.map(sha256))
  })
})

describe('POST /internal/chat/uploads/ingest: refuses', () => {
  it.each([
    ['no credential', {}],
    ['a wrong one', { authorization: 'Bearer wrong' }],
    ['one beyond ASCII', { authorization: 'Bearer s\u00e9cret' }],
  ])('%s before it looks at anything else', async (_, authorization) => {
    const headers = { ...authorization, 'content-length': '99999999999' }
    const answer = await send(runtime.ingestUrl(), { method: 'POST', headers })
    expectRefusal(answer, 401, 'unauthorized', 'unauthorized')
  })

  it('a declared length over the limit before the body is read', async () => {
    const request = begin(runtime.ingestUrl(), {
      method: 'POST',
      headers: {
        authorization: `Bearer ${runtime.secret}`,
        ...formHeaders('x'),
        'content-length': String(50 * MIB + 1),
      },
    })
    request.flushHeaders()
    request.on('error', () => undefined)
    const [response] = await once(request, 'response')
    expectRefusal(
      await readAnswer(response),
      413,
      'request body exceeds total limit (50 MB)',
      'declared_length_exceeds_total',
    )
    request.destroy()
  })

  it.each([
    ['no type', {}, 'x'],
    ['another type', { 'content-type': 'application/json' }, '{}'],
    ['a type that only starts like it', { 'content-type': 'multipart/form-dataX; boundary=b' }, ''],
    ['no boundary', { 'content-type': 'multipart/form-data' }, 'x'],
    ['an empty boundary', { 'content-type': 'multipart/form-data; boundary=""' }, '----\r\n'],
    ['a boundary of 71 characters', formHeaders('b'.repeat(71)), `--${'b'.repeat(71)}--`],
    ['a boundary with a control character', formHeaders('"a\tb"'), '--a\tb--'],
    ['an empty body', formHeaders('b'), ''],
    ['no delimiter', formHeaders('b'), 'hello'],
    ['no end', formHeaders('b'), `${partHead('b', { filename: 'x' })}half of it`],
    ['an end inside of a header', formHeaders('b'), '--b\r\nContent-Disposition: form-data; na'],
    ['a delimiter inside of a header', formHeaders('b'), '--b\r\nContent-Dis\r\n--b--\r\n'],
    ['a part that is no form field', formHeaders('b'), '--b\r\nX: y\r\n\r\nz\r\n--b--\r\n'],
    [
      'a part without a name',
      formHeaders('b'),
      '--b\r\nContent-Disposition: form-data; filename="x"\r\n\r\nz\r\n--b--\r\n',
    ],
  ])('a body with %s', async (_, headers, body) => {
    const answer = await post({ headers, body: Buffer.from(body) })
    expectRefusal(answer, 400, 'failed to parse multipart form', 'multipart_malformed')
    expect(runtime.stored()).toEqual([])
  })

  it.each([
    ['65 files', Array.from({ length: 65 }, () => ({ filename: 'f', content: 'x' }))],
    ['33 plain fields', Array.from({ length: 33 }, () => ({ field: 'f', content: 'x' }))],
  ])('%s', async (_, parts) => {
    const answer = await upload(parts)
    expectRefusal(answer, 400, 'failed to parse multipart form', 'multipart_malformed')
    expect(runtime.stored()).toEqual([])
  })

  it.each([
    ['no part at all', []],
    ['only other fields', [{ field: 'note', filename: 'x.txt', content: 'x' }]],
    ['only text', [{ field: 'files', content: 'a string' }]],
  ])('a form with %s', async (_, parts) => {
    const answer = await upload(parts)
    expectRefusal(answer, 400, "expected at least one 'files' field", 'files_field_missing')
    expect(existsSync(runtime.local(UPLOADS_DIR))).toBe(false)
  })

  it('a file over the limit and names it', async () => {
    const answer = await upload([
      { filename: 'small.txt', content: 'x' },
      { filename: '../big file.bin', content: Buffer.alloc(25 * MIB + 1) },
    ])
    expectRefusal(
      answer,
      413,
      '../big file.bin exceeds per-file limit (25 MB)',
      'file_limit_exceeded',
    )
    expect(runtime.stored()).toEqual([])
  })

  it('files that are too much together, though no length was declared', async () => {
    const boundary = 'total'
    function* pieces() {
      for (let index = 0; index < 3; index += 1) {
        yield partHead(boundary, { filename: `${index}.bin` })
        for (let count = 0; count < 20; count += 1) yield Buffer.alloc(MIB)
        yield Buffer.from('\r\n')
      }
      yield Buffer.from(`--${boundary}--\r\n`)
    }
    expectRefusal(
      await postChunked(formHeaders(boundary), pieces()),
      413,
      'total request body exceeds limit (50 MB)',
      'total_limit_exceeded',
    )
    expect(runtime.stored()).toEqual([])
  })

  it('one byte more of files than that, which no framing hides', async () => {
    const boundary = 'exact'
    const answer = await postChunked(formHeaders(boundary), [
      partHead(boundary, { filename: 'a.bin' }),
      Buffer.alloc(25 * MIB),
      Buffer.from('\r\n'),
      partHead(boundary, { filename: 'b.bin' }),
      Buffer.alloc(25 * MIB),
      Buffer.from('\r\n'),
      partHead(boundary, { filename: 'c.bin' }),
      Buffer.from(`x\r\n--${boundary}--\r\n`),
    ])
    expect([answer.status, errorCode(answer)]).toEqual([413, 'total_limit_exceeded'])
    expect(runtime.stored()).toEqual([])
  })

  it('a body that is endless in a field nobody asked for', async () => {
    const boundary = 'endless'
    function* pieces() {
      yield partHead(boundary, { field: 'other', filename: 'x' })
      for (;;) yield Buffer.alloc(MIB)
    }
    const answer = await postChunked(formHeaders(boundary), pieces())
    expect([answer.status, errorCode(answer)]).toEqual([413, 'total_limit_exceeded'])
  })

  it('in numbers that follow the configured limits', async () => {
    const limits = { maxFileBytes: 2 * MIB, maxRequestBytes: 3 * MIB, maxFiles: 2 }
    await withRuntime({ limits }, async (own) => {
      const big = await upload([{ filename: 'b', content: Buffer.alloc(2 * MIB + 1) }], own)
      expectRefusal(big, 413, 'b exceeds per-file limit (2 MB)', 'file_limit_exceeded')
      const more = await upload([{ filename: 'b', content: Buffer.alloc(3 * MIB) }], own)
      expect(JSON.parse(more.body.toString()).error).toBe('request body exceeds total limit (3 MB)')
      const three = Array.from({ length: 3 }, () => ({ filename: 'f', content: 'x' }))
      expect(errorCode(await upload(three, own))).toBe('multipart_malformed')
    })
  })

  it('shows a hostile file name on one line and not endless', async () => {
    const limits = { maxFileBytes: 1 }
    await withRuntime({ limits }, async (own) => {
      const filename = `\u202e\u0007\u2028${'n'.repeat(500)}`
      const answer = await upload([{ filename, content: 'xx' }], own)
      const { error } = JSON.parse(answer.body.toString())
      expect(error).toBe(`${'n'.repeat(200)} exceeds per-file limit (0 MB)`)
    })
  })

  it('another method with 405', async () => {
    const answer = await runtime.call(INGEST_PATH)
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST'])
  })
})

describe('POST /internal/chat/uploads/ingest: an early refusal', () => {
  const REFUSALS = [
    ['401', 'wrong', {}],
    ['413', undefined, {}],
  ] as const

  it.each(
    REFUSALS.flatMap(([status, token]) => [
      [status, token, 'keep-alive'] as const,
      [status, token, 'close'] as const,
    ]),
  )(
    '%s reaches a client that is still sending (%s, connection %s)',
    async (status, token, connection) => {
      // A client that sends 24 MiB before it looks at the answer.
      await withRuntime(
        { limits: { maxFileBytes: MIB, maxRequestBytes: 64 * MIB } },
        async (own) => {
          const { headers, body } = multipartForm([
            { filename: 'big.bin', content: Buffer.alloc(24 * MIB) },
          ])
          const { port, hostname } = own.ingestUrl()
          const socket = connect(Number(port), hostname)
          const received: Buffer[] = []
          socket.on('data', (piece) => received.push(piece))
          socket.on('error', () => undefined)
          await once(socket, 'connect')
          const lines = [
            `POST ${INGEST_PATH} HTTP/1.1`,
            `Host: ${hostname}`,
            `Authorization: Bearer ${token ?? own.secret}`,
            `Content-Type: ${headers['content-type']}`,
            `Content-Length: ${body.length}`,
            `Connection: ${connection}`,
          ]
          socket.write(`${lines.join('\r\n')}\r\n\r\n`)
          socket.write(body)
          await eventually(() => Buffer.concat(received).includes('request_id'))
          expect(Buffer.concat(received).toString()).toContain(`HTTP/1.1 ${status} `)
          socket.destroy()
          expect(own.stored()).toEqual([])
        },
      )
    },
  )
})

describe('POST /internal/chat/uploads/ingest: on disk', () => {
  it('stores files that only the group may read, in a folder that only it may enter', async () => {
    const [file] = filesOf(await upload([{ filename: 'run.sh', content: '#!/bin/sh' }]))
    const path = runtime.local(file?.uri.replace('workspace:', '') ?? '')
    expect((statSync(path).mode & 0o7777).toString(8)).toBe('640')
    expect(statSync(path).nlink).toBe(1)
    const folder = statSync(runtime.local(UPLOADS_DIR))
    expect(folder.mode & 0o7777 & ~0o750).toBe(0)
  })

  it('shows nothing but a hidden temporary of its own until everything was received', async () => {
    const { headers, body } = multipartForm([{ filename: 'a.bin', content: randomBytes(2 * MIB) }])
    const request = begin(runtime.ingestUrl(), {
      method: 'POST',
      headers: { authorization: `Bearer ${runtime.secret}`, ...headers },
    })
    request.write(body.subarray(0, -10))
    await eventually(() => runtime.stored().length === 1)
    const [name = ''] = runtime.stored()
    expect(name).toMatch(/^\.up-[0-9a-f]{24}\.part$/)
    const stat = statSync(join(runtime.local(UPLOADS_DIR), name))
    expect((stat.mode & 0o7777).toString(8)).toBe('600')
    expect((await runtime.read(`${UPLOADS_DIR}/${name}`)).status).toBe(404)
    request.end(body.subarray(-10))
    const [response] = await once(request, 'response')
    expect(filesOf(await readAnswer(response))).toHaveLength(1)
    expect(runtime.stored()).toHaveLength(1)
    expect(runtime.stored()[0]).toMatch(/^[0-9a-f]{32}-a\.bin$/)
  })

  it('leaves the victim of a planted symlink alone and takes the next name', async () => {
    const planned = ['1'.repeat(32), '1'.repeat(32), '2'.repeat(32)]
    const ids = {
      ...systemIds,
      hex: (bytes: number) => (bytes === 16 ? (planned.shift() ?? '') : systemIds.hex(bytes)),
    }
    await withRuntime({ ids }, async (own) => {
      const victim = own.place('/outside/victim.txt', 'untouched')
      mkdirSync(own.local(UPLOADS_DIR), { recursive: true })
      symlinkSync(victim, join(own.local(UPLOADS_DIR), `${'1'.repeat(32)}-a.txt`))
      const [file] = filesOf(await upload([{ filename: 'a.txt', content: 'new' }], own))
      expect(file?.uri).toContain(`/${'2'.repeat(32)}-a.txt`)
      expect(readFileSync(victim, 'utf8')).toBe('untouched')
    })
  })

  it('answers a name that stays taken with a retry, and leaves nothing', async () => {
    const ids = {
      ...systemIds,
      hex: (bytes: number) => (bytes === 16 ? '1'.repeat(32) : systemIds.hex(bytes)),
    }
    await withRuntime({ ids }, async (own) => {
      const folder = own.local(UPLOADS_DIR)
      mkdirSync(folder, { recursive: true })
      // A dangling link: whoever creates through it makes a file in /configs.
      symlinkSync(own.local('/configs/made'), join(folder, `${'1'.repeat(32)}-b.txt`))
      const answer = await upload(
        [
          { filename: 'a.txt', content: 'published first' },
          { filename: 'b.txt', content: 'taken' },
        ],
        own,
      )
      expectRefusal(answer, 500, 'internal collision; retry', 'upload_collision')
      expect(own.stored()).toEqual([`${'1'.repeat(32)}-b.txt`])
      expect(existsSync(own.local('/configs/made'))).toBe(false)
    })
  })

  it.each([
    ['a file', (path: string) => writeFileSync(path, '')],
    ['a link to a folder', (path: string) => symlinkSync(runtime.local('/configs'), path)],
    ['a dangling link', (path: string) => symlinkSync(runtime.local('/configs/new'), path)],
  ])('does not store through %s in the place of its folder', async (_, plant) => {
    for (const place of ['/workspace/.molecule', UPLOADS_DIR]) {
      rmSync(runtime.local('/workspace/.molecule'), { recursive: true, force: true })
      mkdirSync(join(runtime.local(place), '..'), { recursive: true })
      plant(runtime.local(place))
      const before = readdirSync(runtime.local('/configs'))
      const answer = await upload([{ filename: 'a.txt', content: 'x' }])
      expectRefusal(answer, 500, 'failed to prepare uploads dir', 'uploads_dir_failed')
      expect(readdirSync(runtime.local('/configs'))).toEqual(before)
    }
  })

  it('does not claim to have stored into a folder that was moved away meanwhile', async () => {
    for (const moved of ['/workspace/.molecule', UPLOADS_DIR]) {
      rmSync(runtime.local('/workspace/.molecule'), { recursive: true, force: true })
      const aside = runtime.local('/workspace/aside')
      const { headers, body } = multipartForm([{ filename: 'a.txt', content: 'x'.repeat(1000) }])
      const request = begin(runtime.ingestUrl(), {
        method: 'POST',
        headers: { authorization: `Bearer ${runtime.secret}`, ...headers },
      })
      request.write(body.subarray(0, 500))
      await eventually(() => runtime.stored().length === 1)
      renameSync(runtime.local(moved), aside)
      symlinkSync(aside, runtime.local(moved))
      request.end(body.subarray(500))
      const [response] = await once(request, 'response')
      const answer = await readAnswer(response)
      expectRefusal(answer, 500, 'failed to write file', 'upload_write_failed')
      const left = readdirSync(aside, { recursive: true, encoding: 'utf8' })
      expect(left.filter((name) => name.endsWith('a.txt') || name.endsWith('.part'))).toEqual([])
      rmSync(runtime.local(moved))
      rmSync(aside, { recursive: true })
    }
  })

  it('publishes nothing that was put in the place of its temporary', async () => {
    const { headers, body } = multipartForm([{ filename: 'a.txt', content: 'x'.repeat(1000) }])
    const request = begin(runtime.ingestUrl(), {
      method: 'POST',
      headers: { authorization: `Bearer ${runtime.secret}`, ...headers },
    })
    request.write(body.subarray(0, 500))
    await eventually(() => runtime.stored().length === 1)
    const temporary = join(runtime.local(UPLOADS_DIR), runtime.stored()[0] ?? '')
    rmSync(temporary)
    linkSync(runtime.place('/outside/other.txt', 'other'), temporary)
    request.end(body.subarray(500))
    const [response] = await once(request, 'response')
    const answer = await readAnswer(response)
    expectRefusal(answer, 500, 'failed to write file', 'upload_write_failed')
    expect(runtime.stored()).toEqual([])
  })

  it('needs a workspace to store into', async () => {
    await withRuntime({ absentRoots: ['workspace'] }, async (own) => {
      const answer = await upload([{ filename: 'a.txt', content: 'x' }], own)
      expectRefusal(answer, 500, 'failed to prepare uploads dir', 'uploads_dir_failed')
    })
  })

  it('does without fsync when it is told so', async () => {
    await withRuntime({ isFsyncOn: false }, async (own) => {
      expect(filesOf(await upload([{ filename: 'a', content: 'x' }], own))).toHaveLength(1)
    })
  })
})

describe('POST /internal/chat/uploads/ingest: all or nothing', () => {
  it('keeps no file of a form whose end never came', async () => {
    const { headers, body } = multipartForm([
      { filename: 'whole.bin', content: randomBytes(MIB) },
      { filename: 'half.bin', content: randomBytes(MIB) },
    ])
    const answer = await post({ headers, body: body.subarray(0, -MIB / 2) })
    expect(errorCode(answer)).toBe('multipart_malformed')
    expect(runtime.stored()).toEqual([])
  })

  it('removes everything when the client goes away, descriptors included', async () => {
    await upload([{ filename: 'first.txt', content: 'x' }])
    const stored = runtime.stored()
    const before = openFiles()
    const { headers, body } = multipartForm([
      { filename: 'a.bin', content: randomBytes(MIB) },
      { filename: 'b.bin', content: randomBytes(MIB) },
    ])
    const requests = Array.from({ length: 5 }, () => {
      const request = begin(runtime.ingestUrl(), {
        method: 'POST',
        headers: {
          authorization: `Bearer ${runtime.secret}`,
          'content-length': String(body.length),
          ...headers,
        },
      })
      request.on('error', () => undefined)
      request.write(body.subarray(0, -1000))
      return request
    })
    await eventually(() => runtime.stored().length === stored.length + 10)
    for (const request of requests) request.destroy()
    await eventually(() => runtime.stored().length === stored.length)
    await expectOpenFiles(before)
    expect(runtime.stored()).toEqual(stored)
  })

  it('does not wait for a client that was gone before it was listened to', async () => {
    const incoming = new IncomingMessage(new Socket())
    Object.assign(incoming.headers, formHeaders('gone'))
    const reason = new Error('client disconnected')
    const signal = AbortSignal.abort(reason)
    await expect(ingestUpload(runtime.files, { incoming, signal })).rejects.toBe(reason)
  })

  it('gives up on a client that stops sending', async () => {
    await withRuntime({ idleTimeoutMs: 200 }, async (own) => {
      const { headers, body } = multipartForm([{ filename: 'a.bin', content: randomBytes(MIB) }])
      const request = begin(own.ingestUrl(), {
        method: 'POST',
        headers: { authorization: `Bearer ${own.secret}`, ...headers },
      })
      request.on('error', () => undefined)
      request.write(body.subarray(0, MIB / 2))
      const [response] = await once(request, 'response')
      expectRefusal(await readAnswer(response), 400, 'upload stalled', 'upload_stalled')
      expect(own.stored()).toEqual([])
      request.destroy()
    })
  })

  it('does not call a client silent while its bytes wait for the disk', async () => {
    const { headers, body } = multipartForm([{ filename: 'a.bin', content: 'x' }])
    const incoming = new IncomingMessage(new Socket())
    incoming.push(body)
    incoming.complete = true
    incoming.push(null)
    let isStored = false
    await readMultipart(incoming, {
      boundary: headers['content-type']?.split('boundary=')[1] ?? '',
      maxFiles: 1,
      maxBodyBytes: MIB,
      idleTimeoutMs: 20,
      signal: new AbortController().signal,
      bodyTooLarge: () => new AppError('total_limit_exceeded'),
      openSink: async () => ({
        append: () => undefined,
        end: async () => {
          await delay(200)
          isStored = true
        },
      }),
    })
    expect(isStored).toBe(true)
  })

  it('answers 507 when the disk is full and leaves it as it was', async ({ skip }) => {
    const mount = mkdtempSync(join(tmpdir(), 'atrium-small-'))
    const unmount = tryMount(['-t', 'tmpfs', '-o', 'size=4m'], 'tmpfs', mount)
    try {
      if (unmount === undefined) return skip('mounting a small file system is not allowed here')
      const own = await startRuntimeHarness({ base: mount })
      try {
        const before = openFiles()
        const kept = await upload([{ filename: 'kept.bin', content: Buffer.alloc(MIB) }], own)
        const stored = own.stored()
        expect(filesOf(kept)).toHaveLength(1)
        for (let round = 0; round < 3; round += 1) {
          const answer = await upload(
            [
              { filename: 'fits.bin', content: Buffer.alloc(MIB) },
              { filename: 'too-big.bin', content: Buffer.alloc(5 * MIB) },
            ],
            own,
          )
          expectRefusal(answer, 507, 'insufficient storage', 'insufficient_storage')
          expect(own.stored()).toEqual(stored)
        }
        // The last write is cut short in place of being refused; the answer must not take it for whole.
        const { bavail, bsize } = statfsSync(mount)
        const short = await upload(
          [{ filename: 'short.bin', content: Buffer.alloc(bavail * bsize + 5_000) }],
          own,
        )
        expect(short.status).toBe(507)
        const after = await upload([{ filename: 'fits.bin', content: Buffer.alloc(2 * MIB) }], own)
        expect(filesOf(after)).toHaveLength(1)
        await expectOpenFiles(before)
      } finally {
        await own.stop()
      }
    } finally {
      unmount?.()
      rmSync(mount, { recursive: true })
    }
  })

  it('shows nothing after the process was killed in the middle', async () => {
    const base = mkdtempSync(join(tmpdir(), 'atrium-killed-'))
    const child = fork(new URL('../../support/runtime-child.ts', import.meta.url), [base])
    try {
      const [{ url, secret }] = await once(child, 'message')
      const { headers, body } = multipartForm([
        { filename: 'a.bin', content: randomBytes(2 * MIB) },
        { filename: 'b.bin', content: randomBytes(2 * MIB) },
      ])
      const request = begin(new URL(INGEST_PATH, url), {
        method: 'POST',
        headers: { authorization: `Bearer ${secret}`, ...headers },
      })
      const broken = once(request, 'error')
      request.write(body.subarray(0, -100))
      const folder = join(base, UPLOADS_DIR)
      await eventually(() => existsSync(folder) && readdirSync(folder).length === 2)
      child.kill('SIGKILL')
      await broken
      const names = readdirSync(folder)
      expect(names.every((name) => /^\.up-[0-9a-f]{24}\.part$/.test(name))).toBe(true)
      const next = await startRuntimeHarness({ base })
      try {
        expect((await next.read(`${UPLOADS_DIR}/${names[0]}`)).status).toBe(404)
        expect(filesOf(await upload([{ filename: 'next', content: 'x' }], next))).toHaveLength(1)
      } finally {
        await next.stop()
      }
    } finally {
      child.kill('SIGKILL')
      rmSync(base, { recursive: true, force: true })
    }
  })
})
