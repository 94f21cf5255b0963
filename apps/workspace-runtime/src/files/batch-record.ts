/**
 * @module What a request with several files is about to publish, on disk for as long as that takes.
 * No call gives several names at once, so without it a process killed between two of them would
 * leave a part of a request that nobody was told about. Removing the record is the moment at which
 * all of them count; a record that is still there says what has to go.
 */
import { closeSync, constants, fsync, lstatSync, read, unlink, write } from 'node:fs'
import { geteuid } from 'node:process'
import { promisify } from 'node:util'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { createAt, openAt, procPath, removeIfThere, statOf } from './descriptor.ts'

const readFrom = promisify(read)
const writeTo = promisify(write)
const syncFile = promisify(fsync)
const removeName = promisify(unlink)

/** `<inode> <stored name>`; a line that was cut off by a crash names nothing that was published. */
const LINE = /^(\d{1,20}) ([0-9a-f]{32}-[^/\0\n]{1,255})\n/gm
/** Far more than the names of one request. */
const MAX_RECORD_BYTES = 1024 * 1024

/** A finished file and the name that it is about to get. */
export type PlannedName = { readonly fd: number; readonly finalName: string }

export type RecordPlace = {
  /** Stays the caller's. */
  readonly directory: number
  readonly recordName: string
  readonly isFsyncOn: boolean
}

/** Whoever creates one closes it. Everything rejects with the system's error. */
export class BatchRecord {
  readonly #place: RecordPlace
  readonly #fd: number

  private constructor(place: RecordPlace, fd: number) {
    this.#place = place
    this.#fd = fd
  }

  static async create(place: RecordPlace): Promise<BatchRecord> {
    return new BatchRecord(place, await createAt(place.directory, place.recordName))
  }

  /** Adds names before any of them is given. */
  async note(planned: readonly PlannedName[]): Promise<void> {
    const lines = planned.map(({ fd, finalName }) => `${statOf(fd).ino} ${finalName}\n`)
    let rest = Buffer.from(lines.join(''), 'utf8')
    while (rest.length > 0) {
      const { bytesWritten } = await writeTo(this.#fd, rest)
      rest = rest.subarray(bytesWritten)
    }
    if (!this.#place.isFsyncOn) return
    await syncFile(this.#fd)
    await syncFile(this.#place.directory)
  }

  /**
   * Every name counts from now on. Rejects with ENOENT when the record is gone: then somebody has
   * taken the names back.
   */
  async settle(): Promise<void> {
    const { directory, recordName, isFsyncOn } = this.#place
    await removeName(procPath(directory, recordName))
    // Or a power cut after the answer could bring it back, and with it the end of the names.
    if (isFsyncOn) await syncFile(directory)
  }

  /** Removes it when it is still there: its names are gone, or were never given. */
  async discard(): Promise<void> {
    await removeIfThere(this.#place.directory, this.#place.recordName)
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/**
 * Takes back what an unsettled record names, and then the record. Only files that still are what was
 * about to be published, and only records of our own. Returns how many files were removed.
 */
export async function undoBatch(directory: number, recordName: string): Promise<number> {
  const text = await readRecord(directory, recordName)
  if (text === undefined) return 0
  let removed = 0
  for (const [, inode, finalName] of text.matchAll(LINE)) {
    if (finalName === undefined) continue
    const stat = lstatSync(procPath(directory, finalName), { bigint: true, throwIfNoEntry: false })
    if (stat === undefined || `${stat.ino}` !== inode) continue
    if (await removeIfThere(directory, finalName)) removed += 1
  }
  // Not before the names are gone for good: a power cut must not bring them back without it.
  await syncFile(directory)
  await removeIfThere(directory, recordName)
  return removed
}

/** The text of a record that this user wrote; undefined for whatever else has such a name. */
async function readRecord(directory: number, name: string): Promise<string | undefined> {
  const fd = await openIfFile(directory, name)
  if (fd === undefined) return undefined
  try {
    const stat = statOf(fd)
    const isOurs = stat.isFile() && Number(stat.uid) === geteuid?.()
    if (!isOurs || stat.size > MAX_RECORD_BYTES) return undefined
    const buffer = Buffer.alloc(Number(stat.size))
    const { bytesRead } = await readFrom(fd, buffer, 0, buffer.length, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    closeSync(fd)
  }
}

async function openIfFile(directory: number, name: string): Promise<number | undefined> {
  try {
    return await openAt(directory, name, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    // Gone meanwhile, a link, or nothing that can be opened: none of it is a record of ours.
    if (hasErrorCode(error, 'ENOENT', 'ELOOP', 'ENXIO', 'EACCES')) return undefined
    throw error
  }
}
