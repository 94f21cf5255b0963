/**
 * @module The zip format: stored, streamed. ADR-0043 says why no package does this; `unzip` and
 * Python's zipfile read it in the tests.
 */
import { crc32 } from 'node:zlib'
import type { ArchiveEntry, ArchiveSink, ArchiveWriter } from './archive-entry.ts'
import { ArchiveLimitError } from './archive-limits.ts'
import { zipName } from './archive-name.ts'
import {
  descriptor,
  directoryRecord,
  endRecord,
  localHeader,
  type ZipEntry,
} from './zip-records.ts'

/**
 * The directory is written last and kept until then, about 80 bytes and a path for each entry. It is
 * all of an archive that grows in memory, so it has an end: roughly half a million entries.
 */
const MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
const DIRECTORY_PIECE_BYTES = 64 * 1024

export class ZipWriter implements ArchiveWriter {
  readonly #sink: ArchiveSink
  readonly #directory = new PackedBytes(MAX_DIRECTORY_BYTES)
  #offset = 0
  #count = 0
  #current: ZipEntry | undefined

  constructor(sink: ArchiveSink) {
    this.#sink = sink
  }

  async begin(entry: ArchiveEntry): Promise<void> {
    const current: ZipEntry = {
      entry,
      name: Buffer.from(zipName(entry.path)),
      offset: this.#offset,
      crc: 0,
      written: 0,
    }
    this.#current = current
    await this.#send(localHeader(current))
  }

  async write(bytes: Buffer): Promise<void> {
    const current = this.#openEntry()
    current.crc = crc32(bytes, current.crc)
    current.written += bytes.length
    await this.#send(bytes)
  }

  async finishEntry(): Promise<void> {
    const current = this.#openEntry()
    this.#current = undefined
    if (current.written !== current.entry.size) throw new Error('the entry has another size')
    if (current.entry.kind === 'file') await this.#send(descriptor(current))
    this.#directory.add(directoryRecord(current))
    this.#count += 1
  }

  async finish(): Promise<void> {
    const start = this.#offset
    for (const piece of this.#directory.pieces()) await this.#send(piece)
    const bytes = this.#offset - start
    await this.#send(endRecord({ count: this.#count, start, bytes }))
  }

  abandon(): void {
    this.#current = undefined
  }

  #openEntry(): ZipEntry {
    if (this.#current === undefined) throw new Error('no entry was begun')
    return this.#current
  }

  async #send(bytes: Buffer): Promise<void> {
    this.#offset += bytes.length
    await this.#sink.write(bytes)
  }
}

/** Records one behind the other in pieces: an object for each would be several times their size. */
class PackedBytes {
  readonly #maxBytes: number
  readonly #full: Buffer[] = []
  #open = Buffer.alloc(0)
  #used = 0
  #total = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  add(bytes: Buffer): void {
    this.#total += bytes.length
    if (this.#total > this.#maxBytes) throw new ArchiveLimitError('directory')
    if (this.#used + bytes.length > this.#open.length) {
      if (this.#used > 0) this.#full.push(this.#open.subarray(0, this.#used))
      this.#open = Buffer.allocUnsafeSlow(DIRECTORY_PIECE_BYTES)
      this.#used = 0
    }
    this.#used += bytes.copy(this.#open, this.#used)
  }

  pieces(): readonly Buffer[] {
    return [...this.#full, this.#open.subarray(0, this.#used)]
  }
}
