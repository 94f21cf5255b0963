import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  linkSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { open, readAnswer } from '../../support/raw-client.ts'
import { sha256 } from '../../support/read-runtime.ts'
import { expectOpenFiles, openFiles, startRuntimeHarness } from '../../support/runtime-harness.ts'
import { runtime, shareRuntime } from '../../support/shared-runtime.ts'

shareRuntime()

describe('GET /internal/file/read: a file or a client that goes away', () => {
  const SIZE = 48 * 1024 * 1024

  async function startedDownload(path: string) {
    const headers = { authorization: `Bearer ${runtime.secret}` }
    const response = await open(runtime.readUrl(path), { headers })
    expect(response.statusCode).toBe(200)
    return response
  }

  it('sends every byte unchanged to clients that read in fits and starts', async () => {
    const content = randomBytes(SIZE)
    runtime.place('/workspace/stuttering.bin', content)
    const digests = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const hash = createHash('sha256')
        let unread = 0
        for await (const piece of await startedDownload('/workspace/stuttering.bin')) {
          hash.update(piece)
          unread += piece.length
          // Long enough for the socket to fill up and for both buffers to wait.
          if (unread > SIZE / 20) unread = await delay(15, 0)
        }
        return hash.digest('hex')
      }),
    )
    expect(digests).toEqual(Array.from({ length: 3 }, () => sha256(content)))
  })

  it('breaks the connection when the file shrinks while it is sent', async () => {
    const path = runtime.place('/workspace/shrinking.bin', Buffer.alloc(SIZE))
    const response = await startedDownload('/workspace/shrinking.bin')
    truncateSync(path, 1024)
    const answer = await readAnswer(response)
    expect(answer.isComplete).toBe(false)
    expect(answer.body.length).toBeLessThan(SIZE)
  })

  it('breaks the connection when the file is written over while it is sent', async () => {
    const path = runtime.place('/workspace/changing.bin', Buffer.alloc(SIZE))
    const response = await startedDownload('/workspace/changing.bin')
    const fd = openSync(path, 'r+')
    writeSync(fd, 'other', 0)
    closeSync(fd)
    const answer = await readAnswer(response)
    expect(answer.isComplete).toBe(false)
    expect(answer.body.length).toBeLessThan(SIZE)
  })

  it('sends what was there when it was opened of a file that grows', async () => {
    const path = runtime.place('/workspace/growing.log', Buffer.alloc(SIZE, 'line '))
    const response = await startedDownload('/workspace/growing.log')
    appendFileSync(path, 'more')
    const answer = await readAnswer(response)
    expect(answer.isComplete).toBe(true)
    expect(answer.body.equals(Buffer.alloc(SIZE, 'line '))).toBe(true)
  })

  it('sends a file to its end that is renamed, linked or removed meanwhile', async () => {
    const path = runtime.place('/workspace/removed.bin', Buffer.alloc(SIZE))
    const response = await startedDownload('/workspace/removed.bin')
    linkSync(path, `${path}.link`)
    rmSync(path)
    const answer = await readAnswer(response)
    expect([answer.isComplete, answer.body.length]).toEqual([true, SIZE])
  })

  it('closes the file when the client goes away', async () => {
    runtime.place('/workspace/abandoned.bin', Buffer.alloc(SIZE))
    const before = openFiles()
    const downloads = await Promise.all(
      Array.from({ length: 5 }, () => startedDownload('/workspace/abandoned.bin')),
    )
    expect(openFiles()).toBeGreaterThan(before)
    for (const response of downloads) response.destroy()
    await expectOpenFiles(before)
  })

  it('breaks off when the client does not read for too long', async () => {
    const impatient = await startRuntimeHarness({ idleTimeoutMs: 300 })
    try {
      impatient.place('/workspace/slow.bin', Buffer.alloc(SIZE))
      const headers = { authorization: `Bearer ${impatient.secret}` }
      const before = openFiles()
      const response = await open(impatient.readUrl('/workspace/slow.bin'), { headers })
      response.pause()
      await expectOpenFiles(before)
      expect((await readAnswer(response)).isComplete).toBe(false)
    } finally {
      await impatient.stop()
    }
  })

  it('opens no descriptor that it does not close, whatever the answer', async () => {
    runtime.place('/workspace/foo.txt')
    runtime.place('/workspace/deep/er/file.bin')
    runtime.place('/configs/.auth_token', 'token')
    symlinkSync('/etc/passwd', runtime.local('/workspace/absolute'))
    execFileSync('mkfifo', [runtime.local('/workspace/fifo')])
    linkSync(runtime.local('/workspace/foo.txt'), runtime.local('/configs/linked.txt'))
    const before = openFiles()
    for (const path of [
      '/workspace/foo.txt',
      '/workspace/absolute',
      '/workspace/absent/x',
      '/workspace/fifo',
      '/configs/linked.txt',
      '/configs/.auth_token',
      '/workspace/deep/er',
    ]) {
      for (let round = 0; round < 20; round += 1) await runtime.read(path)
    }
    await expectOpenFiles(before)
  })
})
