import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '@atrium/http-kit/app-error'
import { INGEST_PATH, UPLOADS_DIR } from '@atrium/runtime-contract/file-transfer'
import { describe, expect, it } from 'vitest'
import { ingestUpload } from '../../../apps/workspace-runtime/src/files/ingest-upload.ts'
import { readMultipart } from '../../../apps/workspace-runtime/src/files/read-multipart.ts'
import { eventually } from '../../support/eventually.ts'
import { tryMount } from '../../support/mounts.ts'
import { formHeaders, multipartForm } from '../../support/multipart-form.ts'
import { begin, errorCode, readAnswer } from '../../support/raw-client.ts'
import { expectOpenFiles, openFiles, startRuntimeHarness } from '../../support/runtime-harness.ts'
import { expectRefusal, runtime } from '../../support/shared-runtime.ts'
import {
  filesOf,
  post,
  shareUploadRuntime,
  upload,
  withRuntime,
} from '../../support/upload-runtime.ts'

const MIB = 1024 ** 2

shareUploadRuntime()

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
