import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { truncate, writeFile } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { runProcess } from '../../support/run-process.ts'
import {
  type StandInExchange,
  type StandInPlatform,
  sendJson,
  startStandInPlatform,
} from '../../support/stand-in-platform.ts'
import { temporaryFolder, WORKSPACE_ID } from './cli-harness.ts'

const BIN = resolve(import.meta.dirname, '../../../apps/cli/bin/atrium.mjs')
const MEBIBYTE = 1024 * 1024

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

function start(args: readonly string[], node = process.execPath) {
  const child = spawn(node, [BIN, ...args], {
    cwd: folder.path,
    env: {
      PATH: process.env['PATH'] ?? '',
      ATRIUM_URL: platform?.url ?? 'http://127.0.0.1:9',
      ATRIUM_TOKEN: 'token-of-the-bin-test',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = new Promise<number | null>((done) => {
    child.on('exit', done)
  })
  return { child, exited }
}

async function serve(handle: (exchange: StandInExchange) => void | Promise<void>) {
  platform = await startStandInPlatform(handle)
}

/** A Node older than the sources need, if this machine has one besides the project's own. */
function olderNode(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const candidates = [...folders, '/usr/bin', '/usr/local/bin'].map((path) => join(path, 'node'))
  return candidates.find((path) => {
    if (path.includes('node_modules') || !existsSync(path)) return false
    const version = execFileSync(path, ['--version'], { encoding: 'utf8' })
    return Number.parseInt(version.slice(1), 10) < 24
  })
}

describe('bin/atrium.mjs', () => {
  it.skipIf(olderNode() === undefined)('runs on the Node of the machine too', async () => {
    const { child, exited } = start(['workspaces', 'create', '--help'], olderNode())
    expect(await text(child.stdout)).toContain('Examples:')
    expect(await exited).toBe(0)
  })

  it.skipIf(olderNode() === undefined)('passes exit codes and interrupts through', async () => {
    await serve(({ request }) => {
      request.resume()
    })
    const failing = start(['nonsense'], olderNode())
    expect(await failing.exited).toBe(2)
    const waiting = start(['workspaces', 'ls'], olderNode())
    await eventually(() => platform?.seen.length === 1)
    waiting.child.kill('SIGINT')
    expect(await waiting.exited).toBe(130)
  })

  it('ends with 130 on SIGINT and with 141 when nobody reads', async () => {
    await serve(({ request, response, line }) => {
      if (line.endsWith('/download')) {
        response.writeHead(200, { 'content-length': 64 * MEBIBYTE })
        for (let sent = 0; sent < 64; sent += 1) response.write(Buffer.alloc(MEBIBYTE))
        return
      }
      request.resume()
    })
    const waiting = start(['workspaces', 'ls'])
    await eventually(() => platform?.seen.length === 1)
    waiting.child.kill('SIGINT')
    expect(await waiting.exited).toBe(130)
    const piped = start(['download', WORKSPACE_ID, '/workspace/big', '-o', '-'])
    piped.child.stdout.once('data', () => piped.child.stdout.destroy())
    expect(await piped.exited).toBe(141)
  })

  it('lists a folder without end no faster than it is read, and stops when nobody reads', async () => {
    let pages = 0
    await serve(({ request, response }) => {
      request.resume()
      pages += 1
      const name = (number: number) => `${String(pages).padStart(9, '0')}-${1000 + number}`
      const entries = Array.from({ length: 1000 }, (_, number) => {
        return { name: name(number), type: 'file', size: 1, mtime: 0, mode: 0o644 }
      })
      sendJson(response, { entries, truncated: true, next_cursor: `c${pages}` })
    })
    const { child, exited } = start(['files', 'ls', '-l', WORKSPACE_ID])
    child.stdout.once('data', () => child.stdout.pause())
    // A reader that stands still holds the asking up: what nobody takes is not fetched.
    let seen = 0
    let looksAlike = 0
    await eventually(() => {
      looksAlike = pages > 2 && pages === seen ? looksAlike + 1 : 0
      seen = pages
      return looksAlike === 10
    })
    expect(pages).toBeLessThan(40)
    child.stdout.destroy()
    expect(await exited).toBe(141)
  })

  it('says that the disk is full, and ends with 2 and not by asking once more', async () => {
    await serve(({ request, response }) => {
      request.resume()
      response.writeHead(200, { 'content-length': 4 * MEBIBYTE, etag: '"1"' })
      response.end(Buffer.alloc(4 * MEBIBYTE))
    })
    // A shell cannot fill a disk for us, but it can limit the size of what we write.
    const limited = ['-c', 'trap "" XFSZ; ulimit -f 1024; exec "$@"', 'bash', process.execPath, BIN]
    const args = [...limited, 'download', WORKSPACE_ID, '/workspace/big', '-o', 'big']
    const { exitCode, stderr } = await runProcess('bash', args, {
      cwd: folder.path,
      env: { ATRIUM_URL: platform?.url ?? '', ATRIUM_TOKEN: 'token-of-the-bin-test' },
    })
    expect([exitCode, stderr]).toEqual([
      2,
      `atrium: cannot write ${join(folder.path, 'big.part')}: EFBIG\n`,
    ])
    expect(platform?.seen).toHaveLength(1)
  })

  it.each([
    ['a download', ['download', WORKSPACE_ID, '/workspace/big', '-o', '-']],
    ['a list', ['workspaces', 'ls', '--json']],
    ['the help', ['--help']],
  ])('says that the output of %s cannot be written', async (_what, args) => {
    await serve(({ request, response, line }) => {
      request.resume()
      response.end(line.endsWith('/download') ? Buffer.alloc(MEBIBYTE) : '[]')
    })
    const toFullDisk = ['-c', 'exec "$@" > /dev/full', 'bash', process.execPath, BIN, ...args]
    const env = { ATRIUM_URL: platform?.url ?? '', ATRIUM_TOKEN: 'token-of-the-bin-test' }
    const { exitCode, stderr } = await runProcess('bash', toFullDisk, { env })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('cannot write the output: no space left on the device')
  })

  it('leaves a terminal as it found it when the reader of the output goes away', async () => {
    await serve(({ request, response }) => {
      request.resume()
      response.writeHead(200, { 'content-length': 64 * MEBIBYTE })
      for (let sent = 0; sent < 64; sent += 1) response.write(Buffer.alloc(MEBIBYTE))
    })
    const words = [process.execPath, BIN, 'download', WORKSPACE_ID, '/workspace/big', '-o', '-']
    const { stdout } = await runProcess(
      'script',
      ['--quiet', '--command', `${words.join(' ')} | head -c 1 > /dev/null`, '/dev/null'],
      { env: { ATRIUM_URL: platform?.url ?? '', ATRIUM_TOKEN: 'token-of-the-bin-test' } },
    )
    // DECTCEM and DECAWM: the cursor is hidden and lines are cut while the bar is drawn.
    expect(stdout).toContain('\u001b[?25l')
    expect(stdout.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stdout.lastIndexOf('\u001b[?25l'))
    expect(stdout.lastIndexOf('\u001b[?7h')).toBeGreaterThan(stdout.lastIndexOf('\u001b[?7l'))
  })

  it('keeps tokens out of its arguments and its output', async () => {
    let commandLine = ''
    await serve(({ response }) => {
      commandLine = readFileSync(`/proc/${running.child.pid}/cmdline`, 'utf8')
      sendJson(response, { error: 'invalid workspace auth token', retryable: false }, 401)
    })
    await writeFile(join(folder.path, 'a'), 'x')
    const running = start(['upload', WORKSPACE_ID, 'a'])
    const [stdout, stderr] = await Promise.all([
      text(running.child.stdout),
      text(running.child.stderr),
    ])
    expect(await running.exited).toBe(4)
    expect(commandLine).toContain('upload')
    expect(commandLine + stdout + stderr).not.toContain('token-of-the-bin-test')
  })

  it('needs no more memory for a large upload than for a small one', async () => {
    await serve(async ({ request, response }) => {
      let bytes = 0
      for await (const piece of request) bytes += piece.length
      sendJson(response, { error: `received ${bytes}`, retryable: false }, 400)
    })
    const path = join(folder.path, 'a.bin')
    const peakOf = async (sizeBytes: number) => {
      await writeFile(path, '')
      await truncate(path, sizeBytes)
      const { child, exited } = start(['upload', WORKSPACE_ID, 'a.bin'])
      let peakKib = 0
      const sampler = setInterval(() => {
        peakKib = Math.max(peakKib, peakMemoryKib(child.pid))
      }, 10)
      const stderr = await text(child.stderr)
      await exited
      clearInterval(sampler)
      expect(stderr).toMatch(new RegExp(`received ${Math.floor(sizeBytes / 1_000_000)}`))
      return peakKib
    }
    const small = await peakOf(16 * MEBIBYTE)
    const large = await peakOf(512 * MEBIBYTE)
    expect(small).toBeGreaterThan(0)
    expect((large - small) / 1024).toBeLessThan(32)
  })
})

/** High-water mark of a process's resident memory; 0 once it has ended. */
function peakMemoryKib(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0)
  } catch {
    // It ended between two samples.
    return 0
  }
}
