import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { INBOUND_SECRET_FILE, uploadTemporaryName } from '@atrium/path-safety/workspace-path'
import {
  ARCHIVE_FORMATS,
  ARCHIVE_MEDIA_TYPES,
  FILE_ARCHIVE_PATH,
} from '@atrium/runtime-contract/file-inspection'
import { afterEach, describe, expect, it } from 'vitest'
import { archive, contentOf, namesIn, PYTHON, unpacked } from '../../support/archive-api.ts'
import { expectSecurityHeaders } from '../../support/read-runtime.ts'
import { expectRefusal, runtime, shareRuntime } from '../../support/shared-runtime.ts'

shareRuntime()

afterEach(() => {
  rmSync(runtime.local('/workspace/top'), { recursive: true, force: true })
})

const LONG = 'n'.repeat(255)

/** Files and folders of every shape that an archive can carry. */
function placeTree(): void {
  runtime.place('/workspace/top/a.txt', 'first')
  runtime.place('/workspace/top/empty.txt', '')
  // Both sides of every border: a block of tar, a piece that is gathered, a buffer, two of them.
  for (const size of [511, 512, 513, 16_384, 65_536, 524_288, 524_289, 1_572_865]) {
    runtime.place(`/workspace/top/sizes/${size}.bin`, randomBytes(size))
  }
  mkdirSync(runtime.local('/workspace/top/empty/inner'), { recursive: true })
  runtime.place(`/workspace/top/${'deep/'.repeat(40)}bottom.txt`, 'deep down')
  runtime.place(`/workspace/top/${LONG}`, 'long')
  runtime.place(`/workspace/top/${'d'.repeat(255)}/${LONG}`, 'longer')
  runtime.place(`/workspace/top/${'p'.repeat(90)}/${'q'.repeat(90)}/${'r'.repeat(99)}`, 'over 256')
  runtime.place('/workspace/top/ünïcode/日本語 🎉.txt', 'unicode')
  runtime.place('/workspace/top/ -rf *\n"\'$(x).txt', 'odd')
}

describe('GET /internal/file/archive: what is in it', () => {
  it.each(ARCHIVE_FORMATS)('has every file and folder as it is, as %s', async (format) => {
    placeTree()
    const answer = await archive('/workspace/top', format)
    expect(answer).toMatchObject({ status: 200, isComplete: true })
    const expected = contentOf(runtime.local('/workspace'))
    await unpacked(answer.body, format, ({ content }) => expect(content).toEqual(expected))
  })

  it.each(ARCHIVE_FORMATS)('keeps modes without setuid, and times, as %s', async (format) => {
    const path = runtime.place('/workspace/top/run.sh')
    const bare = runtime.place('/workspace/top/nobody.txt')
    chmodSync(path, 0o4751)
    chmodSync(bare, 0)
    chmodSync(dirname(path), 0o1755)
    utimesSync(path, 1_600_000_000, 1_600_000_000)
    const answer = await archive('/workspace/top', format)
    await unpacked(answer.body, format, ({ folder }) => {
      expect(statSync(`${folder}/top`).mode & 0o7777).toBe(0o755)
      expect(statSync(`${folder}/top/run.sh`).mode & 0o7777).toBe(0o751)
      expect(statSync(`${folder}/top/nobody.txt`).mode & 0o7777).toBe(0)
      if (format !== 'zip') expect(statSync(`${folder}/top/run.sh`).mtimeMs).toBe(1.6e12)
    })
    if (format === 'zip') expect(await zipTimes(answer.body)).toContain('top/run.sh 1600000000')
  })

  it('keeps times that the formats have no room for as near as they can', async () => {
    const early = runtime.place('/workspace/top/early.txt')
    const late = runtime.place('/workspace/top/late.txt')
    utimesSync(early, new Date(-1e9), new Date(-1e9))
    utimesSync(late, 5_000_000_000, 5_000_000_000)
    const answer = await archive('/workspace/top')
    await unpacked(answer.body, 'tar', ({ folder }) => {
      expect(statSync(`${folder}/top/early.txt`).mtimeMs).toBe(0)
      expect(statSync(`${folder}/top/late.txt`).mtimeMs).toBe(5e12)
    })
    const zip = await archive('/workspace/top', 'zip')
    await unpacked(zip.body, 'zip', ({ content }) => expect(Object.keys(content)).toHaveLength(3))
  })

  it('names no user and nobody but root', async () => {
    runtime.place('/workspace/top/a.txt')
    execFileSync('chown', ['-R', '1234:4321', runtime.local('/workspace/top')])
    const { body } = await archive('/workspace/top')
    const listed = execFileSync('tar', ['-tvf', '-'], { input: body, encoding: 'utf8' })
    for (const line of listed.trim().split('\n')) expect(line).toMatch(/^\S+ 0\/0 /)
  })

  it('is called as its folder is, a root as the root', async () => {
    runtime.place('/plugins/one/plugin.yaml')
    const root = await archive('/plugins')
    expect(await namesIn(root.body, 'tar')).toEqual([
      'plugins/',
      'plugins/one/',
      'plugins/one/plugin.yaml',
    ])
    const inner = await archive('/plugins/one', 'zip')
    expect(await namesIn(inner.body, 'zip')).toEqual(['one/', 'one/plugin.yaml'])
  })

  it('spells names that are not UTF-8 by percent, so that no two are one', async () => {
    mkdirSync(runtime.local('/workspace/top'))
    for (const bytes of ['a\xff', 'a\xfe', 'a%FF', '%\xff']) {
      const folder = Buffer.from(`${runtime.local('/workspace/top')}/`)
      writeFileSync(Buffer.concat([folder, Buffer.from(bytes, 'latin1')]), bytes)
    }
    for (const format of ARCHIVE_FORMATS) {
      const names = await namesIn((await archive('/workspace/top', format)).body, format)
      const named = ['top/', 'top/%25%FF', 'top/a%FE', 'top/a%FF', 'top/a%FF']
      expect([...names].sort()).toEqual(named)
    }
  })

  it('has no name in a zip that another system takes for a path of its own', async () => {
    runtime.place('/workspace/top/C:/..\\..\\evil.txt')
    const { body } = await archive('/workspace/top/C:', 'zip')
    expect(await namesIn(body, 'zip')).toEqual(['C%3A/', 'C%3A/..%5C..%5Cevil.txt'])
  })

  it('has all of a folder with very many small files', {
    timeout: 60_000,
  }, async () => {
    const count = Number(process.env['ATRIUM_ARCHIVE_ENTRIES'] ?? 200)
    mkdirSync(runtime.local('/workspace/top'))
    for (let index = 0; index < count; index += 1) {
      writeFileSync(runtime.local(`/workspace/top/file-${index}.txt`), `${index}`)
    }
    for (const format of ['tar', 'zip'] as const) {
      const startedAt = performance.now()
      const { body } = await archive('/workspace/top', format)
      const seconds = (performance.now() - startedAt) / 1000
      process.stdout.write(`archive: ${count} files as ${format}: ${seconds.toFixed(2)} s\n`)
      expect(new Set(await namesIn(body, format)).size).toBe(count + 1)
      await unpacked(body, format, ({ content }) =>
        expect(content).toEqual(contentOf(runtime.local('/workspace'))),
      )
    }
  })
})

describe('GET /internal/file/archive: what is not in it', () => {
  it.each(ARCHIVE_FORMATS)('has no link and nothing that is no file, as %s', async (format) => {
    const outside = runtime.place('/outside/secret.txt', 'OUTSIDE')
    const file = runtime.place('/workspace/top/file.txt', 'inside')
    linkSync(file, runtime.local('/workspace/top/hard.txt'))
    symlinkSync(outside, runtime.local('/workspace/top/link.txt'))
    symlinkSync(dirname(outside), runtime.local('/workspace/top/link'))
    symlinkSync('/nowhere', runtime.local('/workspace/top/dangling'))
    execFileSync('mkfifo', [runtime.local('/workspace/top/pipe')])
    if (process.geteuid?.() === 0) {
      execFileSync('mknod', [runtime.local('/workspace/top/null'), 'c', '1', '3'])
    }
    const server = createServer().listen(runtime.local('/workspace/top/socket'))
    try {
      const { body } = await archive('/workspace/top', format)
      const names = await namesIn(body, format)
      expect([...names].sort()).toEqual(['top/', 'top/file.txt', 'top/hard.txt'])
      await unpacked(body, format, ({ folder }) => {
        // Archives carry no links: the second name is a file of its own.
        expect(statSync(`${folder}/top/hard.txt`).nlink).toBe(1)
      })
    } finally {
      server.close()
    }
  })

  it('has no credential, by whatever name, and no upload that is not finished', async () => {
    const secret = runtime.local(`/configs/${INBOUND_SECRET_FILE}`)
    runtime.place('/configs/.auth_token.tmp', 'hidden')
    runtime.place('/configs/config.yaml', 'shown')
    runtime.place('/workspace/top/shown.txt')
    runtime.place(`/workspace/top/${uploadTemporaryName('0'.repeat(24))}`, 'hidden')
    linkSync(secret, runtime.local('/workspace/top/innocent.txt'))
    linkSync(runtime.place('/home/shared.txt'), runtime.local('/configs/linked.txt'))
    try {
      const top = await archive('/workspace/top')
      expect(await namesIn(top.body, 'tar')).toEqual(['top/', 'top/shown.txt'])
      const configs = await archive('/configs', 'zip')
      expect(await namesIn(configs.body, 'zip')).toEqual(['configs/', 'configs/config.yaml'])
    } finally {
      rmSync(runtime.local('/workspace/top/innocent.txt'))
    }
  })
})

describe('GET /internal/file/archive: the answer', () => {
  it.each(ARCHIVE_FORMATS)('is headed as a download of unknown length, as %s', async (format) => {
    runtime.place('/workspace/top/a.txt')
    for (const method of ['GET', 'HEAD']) {
      const answer = await archive('/workspace/top', format, { method })
      expect(answer.status).toBe(200)
      expect(answer.headers).toMatchObject({
        'content-type': ARCHIVE_MEDIA_TYPES[format],
        'content-disposition': `attachment; filename="top.${format}"; filename*=UTF-8''top.${format}`,
      })
      expect(answer.headers['content-length']).toBeUndefined()
      expectSecurityHeaders(answer)
      expect(answer.body.length > 0).toBe(method === 'GET')
    }
  })

  it('is a tar unless something else is asked for', async () => {
    runtime.place('/workspace/top/a.txt')
    const { headers } = await runtime.call(`${FILE_ARCHIVE_PATH}?path=/workspace/top`)
    expect(headers['content-type']).toBe(ARCHIVE_MEDIA_TYPES.tar)
  })

  it('refuses what is no folder, no path, no format, no method, nobody', async () => {
    runtime.place('/workspace/top/a.txt')
    symlinkSync(runtime.local('/outside'), runtime.local('/workspace/top/link'))
    const refusals = [
      ['/workspace/absent', 404, 'file not found', 'file_not_found'],
      ['/workspace/top/a.txt', 400, 'path is not a directory', 'not_a_directory'],
      ['/workspace/top/link', 400, 'path is not a directory', 'not_a_directory'],
      ['/workspace/top/link/x', 404, 'file not found', 'file_not_found'],
      ['/workspace/../etc', 400, 'invalid path', 'invalid_path'],
      [
        '/etc',
        400,
        'path must be under /configs, /workspace, /home, or /plugins',
        'path_outside_roots',
      ],
    ] as const
    for (const [path, status, error, code] of refusals) {
      expectRefusal(await archive(path), status, error, code)
    }
    const rar = await runtime.call(`${FILE_ARCHIVE_PATH}?path=/workspace/top&format=rar`)
    const words = 'format must be one of tar, tar.gz, zip'
    expectRefusal(rar, 400, words, 'invalid_query')
    const posted = await archive('/workspace/top', 'tar', { method: 'POST' })
    expect(posted).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
    const stranger = { authorization: 'Bearer wrong' }
    expect((await archive('/workspace/top', 'tar', { headers: stranger })).status).toBe(401)
  })
})

/** `name seconds` of every entry, from the field that says them in UTC. */
async function zipTimes(body: Buffer): Promise<string> {
  return execFileSync(PYTHON, ['-c', ZIP_TIMES], { input: body, encoding: 'utf8' })
}

const ZIP_TIMES = `
import io, struct, sys, zipfile
for info in zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())).infolist():
    print(info.filename, struct.unpack('<HHBi', info.extra[:9])[3])
`
