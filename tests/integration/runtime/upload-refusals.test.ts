import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { INGEST_PATH, UPLOADS_DIR } from '@atrium/runtime-contract/file-transfer'
import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { formHeaders, multipartForm, partHead } from '../../support/multipart-form.ts'
import { begin, errorCode, readAnswer, send } from '../../support/raw-client.ts'
import { expectRefusal, runtime } from '../../support/shared-runtime.ts'
import {
  post,
  postChunked,
  shareUploadRuntime,
  upload,
  withRuntime,
} from '../../support/upload-runtime.ts'

const MIB = 1024 ** 2

shareUploadRuntime()

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
