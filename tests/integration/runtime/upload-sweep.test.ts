import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { uploadRecordName } from '@atrium/path-safety/workspace-path'
import { UPLOADS_DIR } from '@atrium/runtime-contract/file-transfer'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type BatchPlace,
  publishBatch,
} from '../../../apps/workspace-runtime/src/files/publish-batch.ts'
import { TemporaryFile } from '../../../apps/workspace-runtime/src/files/temporary-file.ts'
import { eventually } from '../../support/eventually.ts'
import { tryMount } from '../../support/mounts.ts'
import { multipartForm } from '../../support/multipart-form.ts'
import { begin, readAnswer, send } from '../../support/raw-client.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  startRuntimeHarness,
} from '../../support/runtime-harness.ts'

const HOUR_MS = 3_600_000
const temporary = (digit: string) => `.up-${digit.repeat(24)}.part`
const record = (digit: string) => `.up-${digit.repeat(24)}.list`
const stored = (digit: string, name: string) => `${digit.repeat(32)}-${name}`
const isShown = (name: string) => !name.startsWith('.up-')

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
    expect(await runtime.files.sweep.run()).toEqual({ removed: 2, failed: 0 })
    expect(runtime.stored()).toEqual([])
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0, failed: 0 })
  })

  it.each([
    ['a stored file', `${'0'.repeat(32)}-a.txt`],
    ['an upper-case name', temporary('A')],
    ['a longer name', `${temporary('a')}.bak`],
    ['another prefix', `x${temporary('a')}`],
    ['a shorter id', `.up-${'a'.repeat(23)}.part`],
  ])('leaves %s alone', async (_, name) => {
    placeOld(name)
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0, failed: 0 })
    expect(runtime.stored()).toEqual([name])
  })

  it('leaves alone what may still be written by somebody', async () => {
    placeOld(temporary('a'), HOUR_MS - 60_000)
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0, failed: 0 })
  })

  it('leaves folders and links of that name alone', async () => {
    const victim = runtime.place('/workspace/victim.txt')
    mkdirSync(join(runtime.local(UPLOADS_DIR), temporary('a')), { recursive: true })
    symlinkSync(victim, join(runtime.local(UPLOADS_DIR), temporary('b')))
    aheadMs = 2 * HOUR_MS
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0, failed: 0 })
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
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0, failed: 0 })
    request.end(body.subarray(300))
    const [response] = await once(request, 'response')
    expect((await readAnswer(response)).status).toBe(200)
  })

  it('goes on when one of them cannot be removed', async (context) => {
    const held = runtime.place(`${UPLOADS_DIR}/${temporary('a')}`)
    runtime.place(`${UPLOADS_DIR}/${temporary('b')}`)
    aheadMs = 2 * HOUR_MS
    const unmount = tryMount(['--bind'], runtime.place('/workspace/cover.txt'), held)
    if (unmount === undefined) return context.skip()
    try {
      expect(await runtime.files.sweep.run()).toEqual({ removed: 1, failed: 1 })
      expect(runtime.stored()).toEqual([temporary('a')])
    } finally {
      unmount()
    }
  })

  it('leaves alone what this process is about to publish', async () => {
    let lastTemporary = ''
    const isLive: boolean[] = []
    const ids = {
      ...systemIds,
      hex: (bytes: number) => {
        const hex = systemIds.hex(bytes)
        if (bytes === 12) lastTemporary = hex
        // A stored name is made when the record has one.
        else isLive.push(own.files.uploads.isLive(uploadRecordName(lastTemporary)))
        return hex
      },
    }
    const own = await startRuntimeHarness({ ids })
    try {
      const { headers, body } = multipartForm([
        { filename: 'a.txt', content: 'a' },
        { filename: 'b.txt', content: 'b' },
      ])
      const authorization = `Bearer ${own.secret}`
      const answer = await send(own.ingestUrl(), {
        method: 'POST',
        headers: { authorization, ...headers },
        body,
      })
      expect(answer.status).toBe(200)
      expect(isLive).toEqual([true, true])
      expect(own.files.uploads.isLive(uploadRecordName(lastTemporary))).toBe(false)
    } finally {
      await own.stop()
    }
  })

  it('has nothing to do where there is no folder, and does not make one', async () => {
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0, failed: 0 })
    expect(runtime.stored()).toEqual([])
  })

  it('does not follow a link in the place of the folder', async () => {
    const elsewhere = runtime.place(`/configs/${temporary('c')}`)
    mkdirSync(runtime.local('/workspace/.molecule'))
    symlinkSync(runtime.local('/configs'), runtime.local(UPLOADS_DIR))
    aheadMs = 2 * HOUR_MS
    await expect(runtime.files.sweep.run()).rejects.toMatchObject({ code: 'uploads_dir_failed' })
    expect(existsSync(elsewhere)).toBe(true)
    expect(runtime.files.sweep.report()).toEqual({ seconds_ago: 0, removed: 0, failed: 1 })
  })

  it('can be told of by its age, once there was one', async () => {
    expect(runtime.files.sweep.report()).toBeUndefined()
    placeOld(temporary('a'))
    await runtime.files.sweep.run()
    aheadMs = 90_000
    const report = runtime.files.sweep.report()
    expect(report).toEqual({ seconds_ago: expect.any(Number), removed: 1, failed: 0 })
    expect(report?.seconds_ago).toBeGreaterThanOrEqual(89)
    // A clock that is set back makes nothing that lies ahead.
    aheadMs = -90_000
    expect(runtime.files.sweep.report()?.seconds_ago).toBe(0)
  })

  it('runs at the start and stops when it is told to', async () => {
    placeOld(temporary('d'))
    runtime.files.sweep.start()
    await eventually(() => runtime.stored().length === 0)
    await runtime.files.sweep.stop()
    await runtime.files.sweep.stop()
  })
})

describe('a request with several files', () => {
  let directory: number
  let files: TemporaryFile[]

  beforeEach(async () => {
    mkdirSync(runtime.local(UPLOADS_DIR), { recursive: true })
    directory = openSync(runtime.local(UPLOADS_DIR), 'r')
    files = []
    for (const digit of ['a', 'b', 'c']) {
      files.push(await TemporaryFile.create(directory, temporary(digit)))
    }
  })
  afterEach(async () => {
    for (const file of files) await file.dispose()
    closeSync(directory)
  })

  function publish(count: number, place: Partial<BatchPlace> = {}): Promise<readonly string[]> {
    return publishBatch(
      {
        directory,
        isInPlace: () => true,
        isFsyncOn: false,
        recordName: record('f'),
        onLeftover: (error) => {
          throw error
        },
        ...place,
      },
      files.slice(0, count).map((file, index) => ({
        fd: file.fd,
        temporaryName: file.name,
        newName: () => stored(`${index}`, 'x.txt'),
      })),
    )
  }

  it('says what it is about to publish until all of it counts', async () => {
    const seen: string[][] = []
    const isInPlace = () => seen.push([...runtime.stored()]) > 0
    const names = await publish(3, { isInPlace })
    expect(seen[0]).toEqual(expect.arrayContaining([...names, record('f')]))
    expect(runtime.stored().filter(isShown).toSorted()).toEqual(names)
    expect(runtime.stored()).not.toContain(record('f'))
  })

  it('needs no record for a single name', async () => {
    const seen: string[][] = []
    await publish(1, { isInPlace: () => seen.push([...runtime.stored()]) > 0 })
    expect(seen[0]).not.toContain(record('f'))
  })

  it('publishes nothing when somebody took its names back meanwhile', async () => {
    const isInPlace = () => {
      rmSync(join(runtime.local(UPLOADS_DIR), record('f')))
      return true
    }
    await expect(publish(3, { isInPlace })).rejects.toMatchObject({ code: 'ENOENT' })
    expect(runtime.stored().filter(isShown)).toEqual([])
  })

  it('leaves neither names nor record behind when one name is taken for good', async () => {
    runtime.place(`${UPLOADS_DIR}/${stored('2', 'x.txt')}`, 'older')
    await expect(publish(3)).rejects.toMatchObject({ code: 'upload_collision' })
    expect(runtime.stored().filter(isShown)).toEqual([stored('2', 'x.txt')])
    expect(runtime.stored()).not.toContain(record('f'))
  })

  it('leaves its record to the sweep when a name cannot be taken back', async (context) => {
    const leftovers: unknown[] = []
    let unmount: (() => void) | undefined
    // A file that something is mounted on cannot be unlinked, not even by root.
    const isInPlace = () => {
      const name = runtime.stored().find(isShown) ?? ''
      const target = join(runtime.local(UPLOADS_DIR), name)
      unmount = tryMount(['--bind'], runtime.place('/workspace/cover.txt'), target)
      return false
    }
    const onLeftover = (error: unknown) => leftovers.push(error)
    await expect(publish(3, { isInPlace, onLeftover })).rejects.toThrow('moved away')
    if (unmount === undefined) return context.skip()
    try {
      expect(leftovers).toMatchObject([{ code: 'EBUSY' }])
      expect(runtime.stored().filter(isShown)).toHaveLength(1)
      expect(runtime.stored()).toContain(record('f'))
    } finally {
      unmount()
    }
    expect(await runtime.files.sweep.run()).toEqual({ removed: 1, failed: 0 })
    expect(runtime.stored().filter((name) => isShown(name) || name === record('f'))).toEqual([])
  })

  it.each(['0', '1'])(
    'is gone as a whole after a kill between its names (sync %s)',
    async (sync) => {
      const child = fork(
        new URL('../../support/killed-batch.ts', import.meta.url),
        [runtime.local(UPLOADS_DIR), sync],
        { stdio: 'inherit' },
      )
      const [, signal] = await once(child, 'exit')
      expect(signal).toBe('SIGKILL')
      expect(runtime.stored().filter(isShown)).toHaveLength(3)
      expect(await runtime.files.sweep.run()).toEqual({ removed: 3, failed: 0 })
      expect(runtime.stored().filter(isShown)).toEqual([])
      expect(runtime.stored().filter((name) => name.endsWith('.list'))).toEqual([])
    },
  )
})

describe('a record of names that nobody settled', () => {
  const uploads = (name: string) => join(runtime.local(UPLOADS_DIR), name)

  function placeRecord(digit: string, ...names: string[]): void {
    const lines = names.map((name) => `${statSync(uploads(name)).ino} ${name}\n`)
    runtime.place(`${UPLOADS_DIR}/${record(digit)}`, lines.join(''))
  }

  it('does not touch what has such a name and is another file', async () => {
    const name = stored('1', 'report.txt')
    runtime.place(`${UPLOADS_DIR}/${name}`, 'of the request')
    placeRecord('a', name)
    renameSync(uploads(name), uploads(stored('2', 'kept.txt')))
    runtime.place(`${UPLOADS_DIR}/${name}`, 'of somebody else')
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0, failed: 0 })
    expect(runtime.stored().toSorted()).toEqual([name, stored('2', 'kept.txt')])
  })

  it('reaches nothing outside of the folder', async () => {
    const outside = runtime.place('/workspace/outside.txt')
    const { ino } = statSync(outside)
    mkdirSync(join(runtime.local(UPLOADS_DIR), `${'0'.repeat(32)}-`), { recursive: true })
    const escapes = ['../../outside.txt', `${'0'.repeat(32)}-/../../../outside.txt`, outside]
    runtime.place(
      `${UPLOADS_DIR}/${record('a')}`,
      escapes.map((path) => `${ino} ${path}\n`).join(''),
    )
    await runtime.files.sweep.run()
    expect(existsSync(outside)).toBe(true)
  })

  it.skipIf(process.getuid?.() !== 0)('counts for nothing when another user wrote it', async () => {
    const name = stored('1', 'report.txt')
    runtime.place(`${UPLOADS_DIR}/${name}`)
    placeRecord('a', name)
    chownSync(uploads(record('a')), 65_534, 65_534)
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0, failed: 0 })
    expect(runtime.stored()).toContain(name)
  })

  it('is never as long as a file that somebody gave its name', async () => {
    const name = stored('1', 'report.txt')
    runtime.place(`${UPLOADS_DIR}/${name}`)
    const line = `${statSync(uploads(name)).ino} ${name}\n`
    writeFileSync(uploads(record('a')), line + ' '.repeat(2 * 1024 * 1024))
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0, failed: 0 })
    expect(runtime.stored()).toContain(name)
  })

  it('counts for nothing where it was cut off', async () => {
    const name = stored('1', 'report.txt')
    runtime.place(`${UPLOADS_DIR}/${name}`)
    writeFileSync(uploads(record('a')), `${statSync(uploads(name)).ino} ${name}`)
    expect(await runtime.files.sweep.run()).toEqual({ removed: 0, failed: 0 })
    expect(runtime.stored()).toEqual([name])
  })

  it('is no link, folder or FIFO of that name, and none of them holds the others up', async () => {
    const name = stored('1', 'report.txt')
    runtime.place(`${UPLOADS_DIR}/${name}`)
    placeRecord('d', name)
    const elsewhere = runtime.place('/workspace/elsewhere.list', '')
    renameSync(uploads(record('d')), elsewhere)
    symlinkSync(elsewhere, uploads(record('a')))
    mkdirSync(uploads(record('b')))
    execFileSync('mkfifo', [uploads(record('c'))])
    placeOld(temporary('e'))
    expect(await runtime.files.sweep.run()).toEqual({ removed: 1, failed: 0 })
    expect(runtime.stored()).toContain(name)
    expect(runtime.stored()).not.toContain(temporary('e'))
  })
})
