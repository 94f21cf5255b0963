import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { formHeaders, multipartForm, partHead } from '../../support/multipart-form.ts'
import { runtime } from '../../support/shared-runtime.ts'
import {
  filesOf,
  post,
  postChunked,
  shareUploadRuntime,
  upload,
} from '../../support/upload-runtime.ts'

const MIB = 1024 ** 2

shareUploadRuntime()

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
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
