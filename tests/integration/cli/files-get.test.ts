import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sendJson } from '../../support/stand-in-platform.ts'
import { temporaryFolder, WORKSPACE_ID } from './cli-harness.ts'
import { files, here, sendContent, serveRoute } from './files-scene.ts'
import { endServedPlatforms } from './served-platform.ts'

endServedPlatforms()

const CONTENT = randomBytes(4500)
const SHA256 = createHash('sha256').update(CONTENT).digest('hex')
const SESSION = ['--session', '0a1b2c3']
const SESSION_DOWNLOAD = 'sessions/0a1b2c3/files/download'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(async () => {
  await folder.remove()
})

const get = (...args: readonly string[]) => files(['get', ...args], { cwd: folder.path })
const listing = async () => (await readdir(folder.path)).toSorted()
const content = (name: string) => readFile(join(folder.path, name))

describe('atrium files get', () => {
  it('saves a file under a name that does no harm', async () => {
    const queries = await serveRoute('files/download', ({ response }) => {
      response.writeHead(200, { 'content-length': CONTENT.length })
      response.end(CONTENT)
    })
    const run = await get(here('/home/-rf \u202egnp.exe'), '--json')
    expect(run.exitCode).toBe(0)
    expect(await listing()).toEqual(['rf_gnp.exe'])
    expect(run.stdout).not.toContain('\u202e')
    expect(JSON.parse(run.stdout)).toMatchObject({
      workspace_id: WORKSPACE_ID,
      path: '/home/-rf \u202egnp.exe',
      sha256: SHA256,
    })
    expect(queries).toEqual([{ path: '/home/-rf \u202egnp.exe' }])
  })

  it('puts the windows of a session together', async () => {
    await serveRoute(SESSION_DOWNLOAD, (exchange) => sendContent(exchange, CONTENT))
    const run = await get(here('sub/a.bin'), ...SESSION, '--json')
    expect(JSON.parse(run.stdout)).toMatchObject({
      path: '~/workspace/0a1b2c3/sub/a.bin',
      saved_as: join(folder.path, 'a.bin'),
      size: CONTENT.length,
      sha256: SHA256,
    })
    expect((await content('a.bin')).equals(CONTENT)).toBe(true)
    expect(await listing()).toEqual(['a.bin'])
  })

  it('saves an empty file of a session', async () => {
    await serveRoute(SESSION_DOWNLOAD, (exchange) => sendContent(exchange, Buffer.alloc(0)))
    expect((await get(here('a'), ...SESSION)).exitCode).toBe(0)
    expect(await content('a')).toHaveLength(0)
  })

  it.each([
    ['version', CONTENT, 'v2'],
    ['size', Buffer.concat([CONTENT, CONTENT]), 'v1'],
  ])('never mixes two states of a file, told apart by their %s', async (_what, later, version) => {
    let asked = 0
    await serveRoute(SESSION_DOWNLOAD, (exchange) => {
      asked += 1
      if (asked === 1) sendContent(exchange, CONTENT)
      else sendContent(exchange, later, { version })
    })
    const run = await get(here('a.bin'), ...SESSION)
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('the file changed while it was read')
    expect(await listing()).not.toContain('a.bin')
  })

  it('continues what an earlier run left, when it is the same file', async () => {
    let isBroken = true
    const queries = await serveRoute(SESSION_DOWNLOAD, (exchange) => {
      const isLater = exchange.url.searchParams.get('offset') !== '0'
      if (isBroken && isLater) {
        sendJson(exchange.response, { error: 'no', retryable: true }, 502)
        return
      }
      sendContent(exchange, CONTENT)
    })
    expect((await get(here('a.bin'), ...SESSION)).exitCode).toBe(5)
    expect(await listing()).toEqual(['a.bin.part', 'a.bin.part.json'])
    isBroken = false
    const run = await get(here('a.bin'), ...SESSION, '--json')
    expect(JSON.parse(run.stdout)).toMatchObject({ sha256: SHA256, resumed_from: 1000 })
    expect(queries.at(-1)?.['offset']).toBe('4000')
    expect(queries.filter(({ offset }) => offset === '0')).toHaveLength(1)
  })

  it('begins again when it is another file by now', async () => {
    const other = randomBytes(CONTENT.length)
    let asked = 0
    await serveRoute(SESSION_DOWNLOAD, (exchange) => {
      asked += 1
      if (asked === 1) sendContent(exchange, CONTENT)
      else if (asked > 2) sendContent(exchange, other, { version: 'v2' })
      else sendJson(exchange.response, { error: 'no', retryable: false }, 502)
    })
    expect((await get(here('a.bin'), ...SESSION)).exitCode).toBe(1)
    const run = await get(here('a.bin'), ...SESSION, '--json')
    expect(JSON.parse(run.stdout)).toMatchObject({ size: CONTENT.length, resumed_from: 0 })
    expect((await content('a.bin')).equals(other)).toBe(true)
  })

  it.each([
    ['another offset', { offset: 4 }],
    ['more than there is', { size: 3 }],
    ['nothing of what is there', { content_base64: '' }],
    ['no base64', { content_base64: 'a b=' }],
  ])('gives no name to a window with %s', async (_what, wrong) => {
    await serveRoute(SESSION_DOWNLOAD, ({ response }) => {
      const base64 = Buffer.from('12345').toString('base64')
      sendJson(response, { size: 9, offset: 0, content_base64: base64, version: 'v', ...wrong })
    })
    expect((await get(here('a'), ...SESSION)).exitCode).toBe(1)
    expect(await listing()).toEqual([])
  })

  it('overwrites only when it is told to, and asks nothing before', async () => {
    const queries = await serveRoute(SESSION_DOWNLOAD, (exchange) => sendContent(exchange, CONTENT))
    await writeFile(join(folder.path, 'mine'), 'precious')
    expect((await get(here('a'), ...SESSION, '-o', 'mine')).exitCode).toBe(2)
    expect(queries).toEqual([])
    expect((await get(here('a'), ...SESSION, '-o', 'mine', '--force')).exitCode).toBe(0)
    expect((await content('mine')).equals(CONTENT)).toBe(true)
  })

  it('wants the name of a file', async () => {
    expect((await get(here(), ...SESSION)).exitCode).toBe(2)
    expect((await get(here('a'), '-o', '-', '--json')).exitCode).toBe(2)
  })
})
