/**
 * A folder of any size through a runtime of its own, into GNU tar and into Python's reader at once.
 * `ATRIUM_ARCHIVE_GIB=5` is the full size; the roots are in the folder for temporary files.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import { type ArchiveFormat, FILE_ARCHIVE_PATH } from '@atrium/runtime-contract/file-inspection'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { PYTHON } from '../../support/archive-api.ts'
import { eventually } from '../../support/eventually.ts'
import {
  bytesRead,
  descriptorCount,
  peakResidentBytes,
  resetPeak,
  residentBytes,
} from '../../support/process-figures.ts'
import { open } from '../../support/raw-client.ts'

const MIB = 1024 ** 2
const GIB = process.env['ATRIUM_ARCHIVE_GIB']
/** Twice what the runtime may grow by: whoever keeps it all is found. */
const TOTAL_BYTES = Number(GIB ?? 1 / 8) * 1024 * MIB
// A compressor takes its time; the other tests have seen that it comes whole.
const FORMATS: readonly ArchiveFormat[] = GIB === undefined ? ['tar'] : ['tar', 'tar.gz']
const FILE_BYTES = 16 * MIB
const SMALL_FILES = 200
const MAX_GROWTH_BYTES = 64 * MIB
const TIMEOUT_MS = 900_000

/** `digest path` of every member that is a file, as they come through a pipe. */
const DIGESTS = `
import hashlib, sys, tarfile
archive = tarfile.open(fileobj=sys.stdin.buffer, mode='r|*')
for member in archive:
    if member.isfile():
        content = archive.extractfile(member)
        digest = hashlib.sha256()
        while piece := content.read(1 << 20):
            digest.update(piece)
        print(digest.hexdigest(), member.name)
    archive.members = []
`

const told = z.object({ url: z.string(), secret: z.string() })

let base: string
let runtime: ChildProcess
let pid: number
let address: z.output<typeof told>
const digests = new Map<string, string>()

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'atrium-large-'))
  placeFiles(join(base, 'workspace'))
  runtime = fork(new URL('../../support/runtime-child.ts', import.meta.url), [base])
  pid = runtime.pid ?? 0
  address = told.parse((await once(runtime, 'message'))[0])
}, TIMEOUT_MS)
afterAll(async () => {
  const ended = once(runtime, 'exit')
  runtime.disconnect()
  await ended
  rmSync(base, { recursive: true, force: true })
}, TIMEOUT_MS)

/** Large files of different bytes, and a folder of small ones. */
function placeFiles(folder: string): void {
  const content = randomBytes(FILE_BYTES)
  function place(path: string, bytes: Buffer): void {
    writeFileSync(join(folder, path), bytes)
    digests.set(`workspace/${path}`, createHash('sha256').update(bytes).digest('hex'))
  }
  mkdirSync(join(folder, 'small'), { recursive: true })
  for (let index = 0; index * FILE_BYTES < TOTAL_BYTES; index += 1) {
    content.writeUInt32LE(index, 0)
    place(`large-${index}.bin`, content)
  }
  for (let index = 0; index < SMALL_FILES; index += 1) {
    place(`small/${index}.txt`, Buffer.from(`small ${index}`))
  }
}

async function openArchive(format: ArchiveFormat, path = '/workspace'): Promise<Readable> {
  const url = new URL(`${FILE_ARCHIVE_PATH}?path=${path}&format=${format}`, address.url)
  const response = await open(url, { headers: { authorization: `Bearer ${address.secret}` } })
  expect(response.statusCode).toBe(200)
  return response
}

/** The output of a program that is fed through `input`. */
function reader(
  program: string,
  args: readonly string[],
): { input: Writable; output: Promise<string> } {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  async function read(): Promise<string> {
    const text = (await buffer(child.stdout)).toString()
    expect(await ended, program).toEqual([0, null])
    return text
  }
  return { input: child.stdin, output: read() }
}

async function feed(source: Readable, sinks: readonly Writable[]): Promise<number> {
  let bytes = 0
  for await (const piece of source) {
    bytes += piece.length
    await Promise.all(
      sinks.map(async (sink) => {
        if (!sink.write(piece)) await once(sink, 'drain')
      }),
    )
  }
  for (const sink of sinks) sink.end()
  return bytes
}

describe('GET /internal/file/archive: a large folder', () => {
  it.each(FORMATS)(
    'comes whole as a %s, and the runtime stays as small as it was',
    { timeout: TIMEOUT_MS },
    async (format) => {
      // Whatever is needed once is there.
      await feed(await openArchive('tar', '/workspace/small'), [])
      const before = residentBytes(pid)
      resetPeak(pid)
      const startedAt = performance.now()
      const listing = reader('tar', [format === 'tar' ? '-t' : '-tz'])
      const checking = reader(PYTHON, ['-c', DIGESTS])
      const bytes = await feed(await openArchive(format), [listing.input, checking.input])
      const seconds = (performance.now() - startedAt) / 1000
      const growth = peakResidentBytes(pid) - before
      report(format, { bytes, seconds, before, growth })
      const names = (await listing.output).trim().split('\n')
      expect(names.filter((name) => !name.endsWith('/')).sort()).toEqual([...digests.keys()].sort())
      expect(names).toHaveLength(digests.size + 2)
      const found = (await checking.output).trim().split('\n')
      const expected = [...digests].map(([path, digest]) => `${digest} ${path}`)
      expect(found.sort()).toEqual(expected.sort())
      expect(growth).toBeLessThan(MAX_GROWTH_BYTES)
    },
  )

  it('is read no further within a second of a client that leaves', {
    timeout: 60_000,
  }, async () => {
    const descriptors = descriptorCount(pid)
    const response = await openArchive('tar')
    const started = bytesRead(pid)
    response.resume()
    await eventually(() => bytesRead(pid) > started + 4 * MIB, 10_000)
    response.destroy()
    const leftAt = performance.now()
    await eventually(() => descriptorCount(pid) <= descriptors, 5_000)
    expect(performance.now() - leftAt).toBeLessThan(1_000)
    const read = bytesRead(pid)
    await setImmediate()
    expect(bytesRead(pid) - read).toBeLessThan(MIB)
  })
})

function report(format: string, figures: Record<string, number>): void {
  const { bytes = 0, seconds = 1, before = 0, growth = 0 } = figures
  const mib = (value: number): string => (value / MIB).toFixed(0)
  process.stdout.write(
    `archive: ${mib(bytes)} MiB of ${format} in ${seconds.toFixed(1)} s, ${mib(bytes / seconds)} MiB/s, ` +
      `resident ${mib(before)} MiB before and at most ${mib(growth)} MiB more\n`,
  )
}
