import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type StandInExchange,
  type StandInPlatform,
  sendJson,
  startStandInPlatform,
} from '../../support/stand-in-platform.ts'
import { type CliOptions, cli, temporaryFolder, WORKSPACE_ID } from './cli-harness.ts'

const ENV = { ATRIUM_TOKEN: 'workspace-token-of-the-test' }
const CONTENT = randomBytes(2 * 1024 * 1024)
const SHA256 = createHash('sha256').update(CONTENT).digest('hex')
const STORED_PATH = `/workspace/.molecule/chat-uploads/${'0f'.repeat(16)}-report.bin`

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let platform: StandInPlatform | undefined

beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(async () => {
  await platform?.close()
  platform = undefined
  await folder.remove()
})

async function serve(handle: (exchange: StandInExchange) => void | Promise<void>) {
  platform = await startStandInPlatform(handle)
  return platform
}

type FileAnswer = { readonly etag?: string; readonly cutAfterBytes?: number }

/** Answers a download with ranges, as RFC 9110 wants; cuts the connection where it is told to. */
function sendFile(
  { request, response }: StandInExchange,
  { etag, cutAfterBytes }: FileAnswer = {},
) {
  const wanted = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')
  const isSame = etag !== undefined && request.headers['if-range'] === etag
  const from = wanted !== null && isSame ? Number(wanted[1]) : 0
  if (from >= CONTENT.length) {
    sendJson(response, { error: 'range not satisfiable', retryable: false }, 416)
    return
  }
  response.writeHead(from === 0 ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': CONTENT.length - from,
    ...(etag === undefined ? {} : { etag }),
    ...(from === 0
      ? {}
      : { 'content-range': `bytes ${from}-${CONTENT.length - 1}/${CONTENT.length}` }),
  })
  if (cutAfterBytes === undefined) response.end(CONTENT.subarray(from))
  else response.write(CONTENT.subarray(from, from + cutAfterBytes), () => response.destroy())
}

function download(args: readonly string[], options: CliOptions = {}) {
  return cli(['--url', platform?.url ?? '', 'download', WORKSPACE_ID, ...args], {
    cwd: folder.path,
    env: ENV,
    ...options,
  })
}

const here = (name: string) => join(folder.path, name)
/** Not `toEqual`: it takes seconds for two mebibytes. */
const isContent = async (path: string) => (await readFile(path)).equals(CONTENT)
const listing = async () => (await readdir(folder.path)).sort()

describe('atrium download', () => {
  it('saves under the name of the file without its random prefix, and never overwrites', async () => {
    const server = await serve((exchange) => sendFile(exchange))
    expect((await download([`workspace:${STORED_PATH}`])).exitCode).toBe(0)
    const second = await download([STORED_PATH, '--json'])
    expect(await listing()).toEqual(['report (1).bin', 'report.bin'])
    expect(await isContent(here('report (1).bin'))).toBe(true)
    expect(JSON.parse(second.stdout)).toMatchObject({
      saved_as: here('report (1).bin'),
      size: CONTENT.length,
      sha256: SHA256,
      resumed_from: 0,
    })
    expect(server.seen[0]?.headers['accept-encoding']).toBe('identity')
  })

  it('sends a path with every special character as one query value', async () => {
    let path: string | null = null
    await serve((exchange) => {
      path = exchange.url.searchParams.get('path')
      sendFile(exchange)
    })
    const special = '/workspace/a b%20+&#?=é.bin'
    expect((await download([special, '-o', 'x'])).exitCode).toBe(0)
    expect(path).toBe(special)
  })

  it('makes a name harmless that the workspace chose', async () => {
    await serve((exchange) => sendFile(exchange))
    await download(['/workspace/-rf \u001b[31m..\\..\\evil\u202egnp.exe'])
    const [name] = await listing()
    expect(name).toMatch(/^[A-Za-z0-9._]+$/)
  })

  it('refuses to overwrite what the user named, before asking for anything', async () => {
    const server = await serve((exchange) => sendFile(exchange))
    await writeFile(here('mine.bin'), 'precious')
    const run = await download([STORED_PATH, '-o', 'mine.bin'])
    expect(run.exitCode).toBe(2)
    expect(server.seen).toEqual([])
    expect(await readFile(here('mine.bin'), 'utf8')).toBe('precious')
    expect((await download([STORED_PATH, '-o', 'mine.bin', '--force'])).exitCode).toBe(0)
    expect(await isContent(here('mine.bin'))).toBe(true)
    expect(await listing()).toEqual(['mine.bin'])
  })

  it('resumes a connection that breaks, twice, and ends with every byte in place', async () => {
    let attempts = 0
    const server = await serve((exchange) => {
      attempts += 1
      sendFile(exchange, { etag: '"v1"', ...(attempts < 3 ? { cutAfterBytes: 700_000 } : {}) })
    })
    const run = await download([STORED_PATH, '-o', 'big.bin', '--json'])
    expect(run.exitCode).toBe(0)
    expect(await isContent(here('big.bin'))).toBe(true)
    expect(JSON.parse(run.stdout).sha256).toBe(SHA256)
    expect(server.seen[1]?.headers['if-range']).toBe('"v1"')
    expect(await listing()).toEqual(['big.bin'])
  })

  it('continues what an earlier run left', async () => {
    let isBroken = true
    const server = await serve((exchange) => {
      if (!isBroken) return sendFile(exchange, { etag: '"v1"' })
      if (exchange.request.headers.range !== undefined) exchange.response.destroy()
      else sendFile(exchange, { etag: '"v1"', cutAfterBytes: 700_000 })
    })
    const first = await download([STORED_PATH, '-o', 'big.bin'])
    expect(first.exitCode).toBe(5)
    expect(await listing()).toEqual(['big.bin.part', 'big.bin.part.json'])
    isBroken = false
    const second = await download([STORED_PATH, '-o', 'big.bin', '--json'])
    expect(second.exitCode).toBe(0)
    expect(JSON.parse(second.stdout)).toMatchObject({ sha256: SHA256, size: CONTENT.length })
    expect(JSON.parse(second.stdout).resumed_from).toBeGreaterThan(0)
    expect(server.seen.at(-1)?.headers.range).toMatch(/^bytes=[1-9]\d*-$/)
    expect(await listing()).toEqual(['big.bin'])
  })

  it('starts again when the file has changed since', async () => {
    let etag = '"old"'
    await serve((exchange) => {
      const isFirst = etag === '"old"'
      if (isFirst && exchange.request.headers.range !== undefined) {
        exchange.response.destroy()
        return
      }
      sendFile(exchange, { etag, ...(isFirst ? { cutAfterBytes: 700_000 } : {}) })
    })
    expect((await download([STORED_PATH, '-o', 'big.bin'])).exitCode).toBe(5)
    etag = '"new"'
    const run = await download([STORED_PATH, '-o', 'big.bin', '--json'])
    expect(JSON.parse(run.stdout)).toMatchObject({ sha256: SHA256, resumed_from: 0 })
  })

  it('starts again when the part is not the beginning of the file any more', async () => {
    await serve((exchange) => sendFile(exchange, { etag: '"v1"' }))
    await writeFile(here('big.bin.part'), Buffer.alloc(CONTENT.length + 5))
    const record = { workspace_id: WORKSPACE_ID, path: STORED_PATH, etag: '"v1"', pid: 999_999 }
    await writeFile(here('big.bin.part.json'), JSON.stringify(record))
    const run = await download([STORED_PATH, '-o', 'big.bin', '--json'])
    expect(JSON.parse(run.stdout).sha256).toBe(SHA256)
    expect(await isContent(here('big.bin'))).toBe(true)
  })

  it('leaves a .part file alone that it did not write', async () => {
    await serve((exchange) => sendFile(exchange, { etag: '"v1"' }))
    await writeFile(here('big.bin.part'), 'precious')
    expect((await download([STORED_PATH, '-o', 'big.bin'])).exitCode).toBe(2)
    expect(await readFile(here('big.bin.part'), 'utf8')).toBe('precious')
  })

  it('does not mix its half with that of another running download', async () => {
    await serve((exchange) => sendFile(exchange, { etag: '"v1"' }))
    await writeFile(here('big.bin.part'), 'half')
    const record = { workspace_id: WORKSPACE_ID, path: STORED_PATH, etag: '"v1"', pid: 999_999 }
    await writeFile(here('big.bin.part.json'), JSON.stringify(record))
    const run = await download([STORED_PATH, '-o', 'big.bin'], { alivePids: [999_999] })
    expect(run.exitCode).toBe(2)
    expect(run.stderr).toContain('another process (999999)')
  })

  it('gives no name to a body that ends short without saying how long it is', async () => {
    await serve(({ response }) => {
      response.writeHead(200, { 'content-type': 'text/plain' })
      response.write('half of it', () => response.destroy())
    })
    expect((await download([STORED_PATH, '-o', 'x'])).exitCode).toBe(5)
    expect(await listing()).not.toContain('x')
  })

  it('leaves nothing behind when there is no such file', async () => {
    await serve(({ response }) => {
      sendJson(response, { error: 'file not found', code: 'file_not_found', retryable: false }, 404)
    })
    const run = await download([STORED_PATH, '--json'])
    expect(run.exitCode).toBe(3)
    expect(run.stdout).toBe('')
    expect(JSON.parse(run.stderr)).toMatchObject({ exit_code: 3, code: 'file_not_found' })
    expect(await listing()).toEqual([])
  })

  it('writes to standard output byte for byte, but not onto a terminal', async () => {
    await serve((exchange) => sendFile(exchange))
    const run = await download([STORED_PATH, '-o', '-'])
    expect(run.exitCode).toBe(0)
    expect(run.stdoutBytes.equals(CONTENT)).toBe(true)
    expect((await download([STORED_PATH, '-o', '-'], { isTTY: true })).exitCode).toBe(2)
  })

  it('ends with 5 when standard output got less than was promised', async () => {
    await serve((exchange) => sendFile(exchange, { cutAfterBytes: 700_000 }))
    expect((await download([STORED_PATH, '-o', '-'])).exitCode).toBe(5)
  })

  it('refuses a path that is no path', async () => {
    await serve((exchange) => sendFile(exchange))
    expect((await download(['report.bin'])).exitCode).toBe(2)
    expect((await download(['https://example.org/x'])).exitCode).toBe(2)
  })
})
