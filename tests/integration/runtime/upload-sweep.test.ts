import { once } from 'node:events'
import { existsSync, mkdirSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@atrium/http-kit/clock'
import { UPLOADS_DIR } from '@atrium/runtime-contract/file-transfer'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { multipartForm } from '../../support/multipart-form.ts'
import { begin, readAnswer } from '../../support/raw-client.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  startRuntimeHarness,
} from '../../support/runtime-harness.ts'

const HOUR_MS = 3_600_000
const temporary = (digit: string) => `.up-${digit.repeat(24)}.part`

let runtime: RuntimeHarness
let openBefore: number
/** How far the runtime's clock is ahead of the file system's. */
let aheadMs: number

beforeEach(async () => {
  openBefore = openFiles()
  aheadMs = 0
  const clock = { ...systemClock, now: () => new Date(Date.now() + aheadMs) }
  runtime = await startRuntimeHarness({ clock })
})

afterEach(async () => {
  await runtime.stop()
  await expectOpenFiles(openBefore)
})

function placeOld(name: string, ageMs = HOUR_MS + 60_000): void {
  const path = runtime.place(`${UPLOADS_DIR}/${name}`)
  const then = new Date(Date.now() - ageMs)
  utimesSync(path, then, then)
}

describe('the sweep of the upload folder', () => {
  it('removes what a killed process left, and reports how many', async () => {
    placeOld(temporary('a'))
    placeOld(temporary('b'))
    expect(await runtime.files.sweep.run()).toEqual({ removed: 2 })
    expect(runtime.stored()).toEqual([])
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0 })
  })

  it.each([
    ['a stored file', `${'0'.repeat(32)}-a.txt`],
    ['an upper-case name', temporary('A')],
    ['a longer name', `${temporary('a')}.bak`],
    ['another prefix', `x${temporary('a')}`],
    ['a shorter id', `.up-${'a'.repeat(23)}.part`],
  ])('leaves %s alone', async (_, name) => {
    placeOld(name)
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0 })
    expect(runtime.stored()).toEqual([name])
  })

  it('leaves alone what may still be written by somebody', async () => {
    placeOld(temporary('a'), HOUR_MS - 60_000)
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0 })
  })

  it('leaves folders and links of that name alone', async () => {
    const victim = runtime.place('/workspace/victim.txt')
    mkdirSync(join(runtime.local(UPLOADS_DIR), temporary('a')), { recursive: true })
    symlinkSync(victim, join(runtime.local(UPLOADS_DIR), temporary('b')))
    aheadMs = 2 * HOUR_MS
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0 })
    expect(runtime.stored()).toHaveLength(2)
  })

  it('leaves alone what this process is receiving, however long it takes', async () => {
    const { headers, body } = multipartForm([{ filename: 'slow.txt', content: 'x'.repeat(1000) }])
    const request = begin(runtime.ingestUrl(), {
      method: 'POST',
      headers: { authorization: `Bearer ${runtime.secret}`, ...headers },
    })
    request.write(body.subarray(0, 300))
    await eventually(() => runtime.stored().length === 1)
    aheadMs = 2 * HOUR_MS
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0 })
    request.end(body.subarray(300))
    const [response] = await once(request, 'response')
    expect((await readAnswer(response)).status).toBe(200)
  })

  it('has nothing to do where there is no folder, and does not make one', async () => {
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0 })
    expect(runtime.stored()).toEqual([])
  })

  it('does not follow a link in the place of the folder', async () => {
    const elsewhere = runtime.place(`/configs/${temporary('c')}`)
    mkdirSync(runtime.local('/workspace/.molecule'))
    symlinkSync(runtime.local('/configs'), runtime.local(UPLOADS_DIR))
    aheadMs = 2 * HOUR_MS
    await expect(runtime.files.sweep.run()).rejects.toMatchObject({ code: 'uploads_dir_failed' })
    expect(existsSync(elsewhere)).toBe(true)
  })

  it('runs at the start and stops when it is told to', async () => {
    placeOld(temporary('d'))
    runtime.files.sweep.start()
    await eventually(() => runtime.stored().length === 0)
    await runtime.files.sweep.stop()
    await runtime.files.sweep.stop()
  })
})
