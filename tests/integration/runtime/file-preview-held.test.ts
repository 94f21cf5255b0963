import type { IncomingMessage } from 'node:http'
import { FILE_PREVIEW_PATH, MAX_PREVIEW_BYTES } from '@atrium/runtime-contract/file-inspection'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { open, readAnswer } from '../../support/raw-client.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  startRuntimeHarness,
} from '../../support/runtime-harness.ts'

const AT_ONCE = 8

let runtime: RuntimeHarness
let openBefore: number
let openStarted: number
let answered: IncomingMessage[]

beforeEach(() => {
  openBefore = openFiles()
  answered = []
})

afterEach(async () => {
  for (const response of answered) response.destroy()
  // By the time that this is read, those that were broken off have said so to the log.
  await runtime.read('/workspace/control.txt')
  await expectOpenFiles(openStarted)
  await runtime.stop()
  await expectOpenFiles(openBefore)
})

async function start(options: { readonly idleTimeoutMs?: number }): Promise<void> {
  runtime = await startRuntimeHarness(options)
  openStarted = openFiles()
  // In JSON, each of these is six characters.
  runtime.place('/workspace/control.txt', Buffer.alloc(MAX_PREVIEW_BYTES, 1))
}

/** Asks for a window whose answer is six times as large, and reads nothing of the answer. */
async function ask(): Promise<void> {
  const url = new URL(FILE_PREVIEW_PATH, runtime.url)
  url.search = `path=/workspace/control.txt&limit=${MAX_PREVIEW_BYTES}`
  const headers = { authorization: `Bearer ${runtime.secret}` }
  answered.push(await open(url, { headers }))
}

describe('GET /internal/file/preview: what is held for clients', () => {
  it('is no more than so many answers; who comes later waits for a turn', async () => {
    await start({})
    const release = Promise.withResolvers<void>()
    const hold = () =>
      runtime.files.previews.run(() => release.promise, new AbortController().signal)
    const others = Array.from({ length: AT_ONCE - 1 }, hold)
    await ask()
    const [first] = answered
    if (first === undefined) throw new Error('nobody was answered')
    const { body, isComplete } = await readAnswer(first)
    expect(isComplete).toBe(true)
    expect(JSON.parse(body.toString())).toMatchObject({ next_offset: MAX_PREVIEW_BYTES })
    others.push(hold())
    const waiting = ask()
    // Whatever else it does meanwhile, it makes no further answer.
    for (let each = 0; each < 3; each += 1) {
      expect((await runtime.read('/workspace/control.txt')).status).toBe(200)
    }
    expect(answered).toHaveLength(1)
    release.resolve()
    await Promise.all([waiting, ...others])
    expect(answered).toHaveLength(2)
  })

  it('is let go of when a client takes nothing of it for too long', async () => {
    await start({ idleTimeoutMs: 300 })
    await Promise.all(Array.from({ length: AT_ONCE + 2 }, ask))
    const read = await Promise.all(answered.map(readAnswer))
    // Of some, the sockets in between may have taken all.
    expect(read.some(({ isComplete }) => !isComplete)).toBe(true)
  })
})
