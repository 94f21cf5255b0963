import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import {
  readBody,
  type StandInExchange,
  type StandInPlatform,
  sendJson,
  startStandInPlatform,
} from '../../support/stand-in-platform.ts'
import { cli, temporaryFolder, WORKSPACE_ID } from './cli-harness.ts'

const ENV = { ATRIUM_TOKEN: 'workspace-token-of-the-test' }
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

async function serve(handle: (exchange: StandInExchange) => void | Promise<void>) {
  platform = await startStandInPlatform(handle)
  return platform
}

/** Parses like a server does that has never heard of our encoder, and answers as the contract says. */
async function ingest({ request, response }: StandInExchange): Promise<void> {
  const body = await readBody(request)
  if (String(body.length) !== request.headers['content-length']) throw new Error('wrong length')
  const headers = { 'content-type': request.headers['content-type'] ?? '' }
  const form = await new Response(body, { headers }).formData()
  const files: Record<string, string | number>[] = []
  for (const part of form.getAll('files')) {
    if (typeof part === 'string') throw new Error('a part is not a file')
    const bytes = Buffer.from(await part.arrayBuffer())
    files.push({
      uri: `workspace:/workspace/.molecule/chat-uploads/${'ab'.repeat(16)}-${part.name}`,
      name: part.name,
      mimeType: part.type,
      size: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    })
  }
  sendJson(response, { files })
}

function upload(paths: readonly string[], flags: readonly string[] = []) {
  const args = ['--url', platform?.url ?? '', ...flags, 'upload', WORKSPACE_ID, ...paths]
  return cli(args, { cwd: folder.path, env: ENV })
}

describe('atrium upload', () => {
  it('frames several files so that another parser reads them, and compares checksums', async () => {
    const server = await serve(ingest)
    const big = Buffer.alloc(3 * MEBIBYTE + 7, 'pattern-')
    await writeFile(join(folder.path, 'big.bin'), big)
    await writeFile(join(folder.path, 'empty.txt'), '')
    await writeFile(join(folder.path, 'a "quoted" 名前.csv'), 'a,b\n')
    const run = await upload(['big.bin', 'empty.txt', 'a "quoted" 名前.csv'], ['--json'])
    expect(run.stderr).toBe('')
    expect(run.exitCode).toBe(0)
    const { files } = JSON.parse(run.stdout)
    expect(files).toMatchObject([
      { name: 'big.bin', size: big.length, verified: true },
      { name: 'empty.txt', size: 0, verified: true },
      { size: 4, mimeType: 'text/csv; charset=utf-8', verified: true },
    ])
    expect(files[0].sha256).toBe(createHash('sha256').update(big).digest('hex'))
    expect(server.seen.map(({ line }) => line)).toEqual([
      `POST /workspaces/${WORKSPACE_ID}/chat/uploads`,
    ])
    expect(server.seen[0]?.headers.authorization).toBe(`Bearer ${ENV.ATRIUM_TOKEN}`)
    expect(server.seen[0]?.headers['transfer-encoding']).toBeUndefined()
  })

  it('fails when the stored file has another checksum', async () => {
    await serve(async ({ request, response }) => {
      await readBody(request)
      const stored = { uri: 'workspace:/workspace/a', name: 'a', mimeType: '', size: 1 }
      sendJson(response, { files: [{ ...stored, sha256: '0'.repeat(64) }] })
    })
    await writeFile(join(folder.path, 'a'), 'x')
    const run = await upload(['a'])
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('another checksum')
  })

  it('fails when fewer bytes were stored than were sent', async () => {
    await serve(async ({ request, response }) => {
      await readBody(request)
      sendJson(response, { files: [{ uri: 'workspace:/w', name: 'a', mimeType: '', size: 1 }] })
    })
    await writeFile(join(folder.path, 'a'), 'xy')
    expect((await upload(['a'])).exitCode).toBe(1)
  })

  it('shows a refusal that arrives while the file is still being sent, and stops', async () => {
    let receivedBytes = 0
    await serve(({ request, response }) => {
      request.socket.once('close', () => {
        receivedBytes = request.socket.bytesRead
      })
      sendJson(response, { error: 'a.bin exceeds per-file limit (25 MB)', retryable: false }, 413)
    })
    await writeFile(join(folder.path, 'a.bin'), '')
    await truncate(join(folder.path, 'a.bin'), 1024 * MEBIBYTE)
    // Several times: a reset that swallows the answer would only happen now and then.
    for (let round = 0; round < 8; round += 1) {
      receivedBytes = 0
      const run = await upload(['a.bin'])
      expect(run.stderr).toContain('exceeds per-file limit (25 MB)')
      expect(run.exitCode).toBe(1)
      await eventually(() => receivedBytes > 0)
      expect(receivedBytes).toBeLessThan(256 * MEBIBYTE)
    }
  })

  it('never lets the server see a complete body of a file that changed meanwhile', async () => {
    const path = join(folder.path, 'log.txt')
    await writeFile(path, Buffer.alloc(24 * MEBIBYTE, 'a'))
    let ending = 'none'
    await serve(async ({ request }) => {
      request.once('data', () => {
        request.pause()
        // The client cannot have read to the end yet: its buffers and ours are smaller than the file.
        appendFile(path, 'one more line').then(
          () => request.resume(),
          (error: unknown) => request.destroy(error instanceof Error ? error : undefined),
        )
      })
      await new Promise<void>((resolve) => {
        request.on('end', () => {
          ending = 'complete'
          resolve()
        })
        request.on('error', () => {
          ending = 'aborted'
          resolve()
        })
      })
    })
    const run = await upload(['log.txt'])
    expect(run.exitCode).toBe(2)
    expect(run.stderr).toContain('changed while it was being sent')
    await eventually(() => ending !== 'none')
    expect(ending).toBe('aborted')
  })

  it('waits as long as the platform asks, says so, and sends everything again', async () => {
    let attempts = 0
    await serve(async (exchange) => {
      attempts += 1
      if (attempts > 1) return await ingest(exchange)
      await readBody(exchange.request)
      const error = 'workspace inbound secret was just minted; retry in 30 seconds'
      sendJson(exchange.response, { error, retryable: true, retry_after: 30 }, 503)
    })
    await writeFile(join(folder.path, 'a'), 'content')
    const run = await upload(['a'])
    expect(run.exitCode).toBe(0)
    expect(run.sleptMs).toEqual([30_000])
    expect(run.stderr).toContain('trying again in 30 s')
  })

  it('gives up with exit 5 when the wait would exceed --timeout', async () => {
    await serve(async ({ request, response }) => {
      await readBody(request)
      sendJson(response, { error: 'busy', retryable: true, retry_after: 30 }, 503)
    })
    await writeFile(join(folder.path, 'a'), 'content')
    const run = await upload(['a'], ['--timeout', '10'])
    expect(run.exitCode).toBe(5)
    expect(run.sleptMs).toEqual([])
  })

  it('refuses what is not a regular file at once, before any request', async () => {
    const server = await serve(({ response }) => sendJson(response, {}))
    execFileSync('mkfifo', [join(folder.path, 'fifo')])
    for (const path of ['fifo', '.', 'absent', '/dev/null']) {
      const run = await upload([path])
      expect([path, run.exitCode]).toEqual([path, 2])
    }
    expect(server.seen).toEqual([])
  })

  it('does not follow a redirect, and the bearer goes nowhere else', async () => {
    const elsewhere = await startStandInPlatform(({ response }) => sendJson(response, {}))
    try {
      await serve(({ response }) => {
        response.writeHead(307, { location: `${elsewhere.url}/steal` }).end()
      })
      await writeFile(join(folder.path, 'a'), 'content')
      const run = await upload(['a'])
      expect(run.exitCode).toBe(1)
      expect(run.stderr).toContain('redirect')
      expect(elsewhere.seen).toEqual([])
    } finally {
      await elsewhere.close()
    }
  })

  it('calls a connection that breaks unreachable', async () => {
    await serve(({ request }) => {
      request.once('data', () => request.destroy())
    })
    await writeFile(join(folder.path, 'a'), Buffer.alloc(MEBIBYTE))
    expect((await upload(['a'])).exitCode).toBe(5)
  })

  it('ends with 130 when the user interrupts', async () => {
    const interrupt = new AbortController()
    await serve(({ request }) => {
      request.once('data', () => interrupt.abort())
    })
    await writeFile(join(folder.path, 'a'), Buffer.alloc(MEBIBYTE))
    const args = ['--url', platform?.url ?? '', 'upload', WORKSPACE_ID, 'a']
    const run = await cli(args, { cwd: folder.path, env: ENV, signal: interrupt.signal })
    expect(run.exitCode).toBe(130)
  })
})
