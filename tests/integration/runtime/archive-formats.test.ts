import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type {
  ArchiveEntry,
  ArchiveSink,
  ArchiveWriter,
} from '../../../apps/workspace-runtime/src/files/archive-entry.ts'
import { Breaking } from '../../../apps/workspace-runtime/src/files/breaking.ts'
import { TarWriter } from '../../../apps/workspace-runtime/src/files/tar-writer.ts'
import { ZipWriter } from '../../../apps/workspace-runtime/src/files/zip-writer.ts'
import { PYTHON } from '../../support/archive-api.ts'

const GIB = 1024 ** 3
let scratch: string

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'atrium-formats-'))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** A file on disk in which zeros are holes, so that 5 GiB of them take no room. */
class HoleySink implements ArchiveSink {
  readonly file = join(scratch, `archive-${Math.random()}`)
  readonly #fd = openSync(this.file, 'w')
  #position = 0

  #small: Buffer[] = []

  async write(bytes: Uint8Array): Promise<void> {
    const isHole = bytes.length > 4096 && bytes[0] === 0
    if (!isHole) this.#small.push(Buffer.from(bytes))
    if (isHole || this.#small.length > 10_000) this.flush()
    if (isHole) this.#position += bytes.length
  }

  flush(): void {
    const bytes = Buffer.concat(this.#small.splice(0))
    writeSync(this.#fd, bytes, 0, bytes.length, this.#position)
    this.#position += bytes.length
  }
}

const WRITERS: Readonly<Record<string, (sink: ArchiveSink) => ArchiveWriter>> = {
  tar: (sink) => new TarWriter(sink, new Breaking()),
  zip: (sink) => new ZipWriter(sink),
}

function entryOf(path: string, size: number): ArchiveEntry {
  return { path, kind: 'file', size, mode: 0o644, mtimeSeconds: 1_700_000_000 }
}

async function writeEntry(writer: ArchiveWriter, entry: ArchiveEntry): Promise<void> {
  await writer.begin(entry)
  const zeros = Buffer.alloc(Math.min(entry.size, 16 * 1024 * 1024))
  for (let left = entry.size; left > 0; left -= zeros.length) {
    await writer.write(zeros.subarray(0, Math.min(left, zeros.length)))
  }
  await writer.finishEntry()
}

/** `name size` of every entry, as Python's readers of the two formats see them. */
function listed(file: string, format: string): readonly string[] {
  const script = format === 'zip' ? LIST_ZIP : LIST_TAR
  const listing = execFileSync(PYTHON, ['-c', script, file], { maxBuffer: 64 * 1024 * 1024 })
  return listing.toString().trim().split('\n')
}

const LIST_ZIP = `
import sys, zipfile
for info in zipfile.ZipFile(sys.argv[1]).infolist(): print(info.filename, info.file_size)
`
const COUNT_ZIP = `
import sys, zipfile
print(zipfile._EndRecData(open(sys.argv[1], 'rb'))[zipfile._ECD_ENTRIES_TOTAL])
`
const LIST_TAR = `
import sys, tarfile
for info in tarfile.open(sys.argv[1]): print(info.name, info.size)
`

describe('the zip of an archive', () => {
  it('keeps no more than 64 MiB of its directory', async () => {
    const writer = new ZipWriter({ write: () => Promise.resolve() })
    const name = 'n'.repeat(60_000)
    // 55 bytes and the name for each: the last one is too much.
    const enough = Math.floor((64 * 1024 * 1024) / 60_055)
    for (let each = 0; each < enough; each += 1) await writeEntry(writer, entryOf(name, 0))
    await expect(writeEntry(writer, entryOf(name, 0))).rejects.toMatchObject({
      code: 'archive_too_large',
    })
  })
})

describe.each(['tar', 'zip'])('the %s of an archive', (format) => {
  function begin(): { sink: HoleySink; writer: ArchiveWriter } {
    const sink = new HoleySink()
    const writer = WRITERS[format]?.(sink)
    if (writer === undefined) throw new Error(`no writer of ${format}`)
    return { sink, writer }
  }

  it('has more entries than 16 bits can count', { timeout: 60_000 }, async ({ skip }) => {
    if (format === 'tar') skip('a tar counts nothing')
    const { sink, writer } = begin()
    const names = Array.from({ length: 66_000 }, (_, index) => `top/${index}`)
    for (const name of names) await writeEntry(writer, entryOf(name, 0))
    await writer.finish()
    sink.flush()
    // As one text: to compare so many values one by one takes seconds.
    const expected = names.map((name) => `${name} 0`).join('\n')
    expect(listed(sink.file, format).join('\n') === expected).toBe(true)
    // Python's reader does not look at the count; others do.
    const count = execFileSync(PYTHON, ['-c', COUNT_ZIP, sink.file]).toString()
    expect(Number(count)).toBe(names.length)
  })

  it('has sizes and places that 32 bits cannot count', { timeout: 900_000 }, async ({ skip }) => {
    // A checksum over 17 GiB of zeros takes its time.
    if (process.env['ATRIUM_ARCHIVE_GIB'] === undefined) skip('17 GiB only when asked for')
    const { sink, writer } = begin()
    const entries = [
      entryOf('top/below', 4 * GIB - 2),
      entryOf('top/border', 4 * GIB),
      // From here on nothing begins at a place of 32 bits.
      entryOf('top/behind', 5),
      entryOf('top/large', 9 * GIB),
      entryOf('top/last', 1),
    ]
    for (const entry of entries) await writeEntry(writer, entry)
    await writer.finish()
    sink.flush()
    expect(listed(sink.file, format)).toEqual(entries.map(({ path, size }) => `${path} ${size}`))
    if (format === 'zip' && existsSync('/usr/bin/unzip')) {
      execFileSync('/usr/bin/unzip', ['-tqq', sink.file])
    }
  })

  // UnZip 6.00 takes this one size for a place where another number is looked up, and stumbles over
  // every archive with such a file, whoever wrote it.
  it('has the size that 32 bits use as a sign', { timeout: 300_000 }, async ({ skip }) => {
    if (process.env['ATRIUM_ARCHIVE_GIB'] === undefined) skip('4 GiB only when asked for')
    const { sink, writer } = begin()
    const entries = [entryOf('top/sign', 4 * GIB - 1), entryOf('top/behind', 5)]
    for (const entry of entries) await writeEntry(writer, entry)
    await writer.finish()
    sink.flush()
    expect(listed(sink.file, format)).toEqual(entries.map(({ path, size }) => `${path} ${size}`))
  })

  it.each([5, 0])('is refused when an entry of 10 bytes has %i', async (length) => {
    const { writer } = begin()
    await writer.begin(entryOf('top/short', 10))
    if (length > 0) await writer.write(Buffer.alloc(length))
    await expect(writer.finishEntry()).rejects.toThrow(/size/i)
  })

  it('ends with its sink', async () => {
    const breaking = new Breaking()
    const failing = { write: () => Promise.reject(new Error('the sink failed')) }
    const writer = format === 'zip' ? new ZipWriter(failing) : new TarWriter(failing, breaking)
    await expect(writeEntry(writer, entryOf('top/a', 10))).rejects.toThrow('the sink failed')
    writer.abandon()
  })
})
