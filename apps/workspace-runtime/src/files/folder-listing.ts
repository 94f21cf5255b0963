/** @module Pages of an open folder: one scan of its names, and a look at those of the page. */
import type { BigIntStats } from 'node:fs'
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import { errorCodeOf, hasErrorCode } from '@atrium/http-kit/error-code'
import { tellName } from '@atrium/runtime-contract/entry-name'
import {
  type EntryType,
  type FolderEntry,
  type FolderPage,
  MAX_LIST_ENTRIES,
} from '@atrium/runtime-contract/file-inspection'
import { encodeCursor, type ListPage } from '@atrium/runtime-contract/inspection-query'
import { WorkQueue } from '../work-queue.ts'
import type { ContainedRoots, CredentialInodes } from './contained-roots.ts'
import { type ByteName, lstatAt, textOf } from './descriptor.ts'
import { type FolderWindows, NameWindows } from './name-windows.ts'
import type { OpenedFolder } from './open-contained-folder.ts'
import { type NameScan, type NamesWanted, scanFewNames, scanNames } from './scan-names.ts'

/** Names that are read beyond those of a first page, in place of what is hidden or vanishes. */
const SPARE_NAMES = 1_000
/** Names that are read for whoever reads on. */
const WINDOW_NAMES = 20_000
/** How many large folders are read at a time; others wait. */
const MAX_LONG_SCANS = 2
/** Entries looked at in one go: others want the threads of the pool, too. */
const LOOKS_AT_ONCE = 64

export type EntriesPage = Pick<FolderPage, 'entries' | 'truncated' | 'next_cursor'>

export type FolderListingOptions = {
  readonly clock: Clock
  readonly roots: ContainedRoots
  /** Where scans of large folders wait. */
  readonly turns?: WorkQueue
}

// As many wait as there are requests; whoever asks no more waits no more.
const longScans = (): WorkQueue =>
  new WorkQueue({ concurrency: MAX_LONG_SCANS, maxWaiting: Number.POSITIVE_INFINITY })

export class FolderListing {
  readonly #clock: Clock
  readonly #roots: ContainedRoots
  readonly #windows: NameWindows
  readonly #turns: WorkQueue

  constructor({ clock, roots, turns }: FolderListingOptions) {
    this.#clock = clock
    this.#roots = roots
    this.#turns = turns ?? longScans()
    this.#windows = new NameWindows(clock)
  }

  /**
   * As many entries as asked for, fewer only at the end. What was in the folder all the time that
   * somebody read all of its pages is on exactly one of them. Throws `file_forbidden`,
   * `stat_failed`, or the signal's reason.
   */
  async page(
    folder: OpenedFolder,
    { limit, after }: ListPage,
    signal: AbortSignal,
  ): Promise<EntriesPage> {
    const reader = new PageReader(folder, this.#roots.findCredentials(), limit)
    try {
      if (after === undefined) {
        const windows = this.#windows.begin(folder.stat)
        const keep = limit + SPARE_NAMES
        return await this.#fill(reader, { folder, windows }, { after: '', keep, signal })
      }
      const windows = this.#windows.resume(folder.stat)
      const wanted = { after: after.toString('latin1'), keep: WINDOW_NAMES, signal }
      return await this.#fill(reader, { folder, windows }, wanted)
    } catch (error) {
      throw signal.aborted ? error : toAppError(error)
    }
  }

  async #fill(reader: PageReader, source: Source, wanted: Wanted): Promise<EntriesPage> {
    const { names, hasMore } = await this.#namesBehind(source, wanted)
    const read = await reader.read(names)
    const last = names[read - 1] ?? wanted.after
    const truncated = read < names.length || hasMore
    if (truncated && !reader.isFull) {
      return this.#fill(reader, source, { ...wanted, after: last, keep: WINDOW_NAMES })
    }
    const next_cursor = truncated ? encodeCursor(Buffer.from(last, 'latin1')) : null
    return { entries: reader.entries(), truncated, next_cursor }
  }

  async #namesBehind({ folder, windows }: Source, wanted: Wanted): Promise<NameScan> {
    const find = (): NameScan | undefined => windows.find(wanted.after, MAX_LIST_ENTRIES)
    const scan = async <Scan extends NameScan | undefined>(
      read: (directory: number, wanted: NamesWanted) => Promise<Scan>,
    ): Promise<Scan> => {
      wanted.signal.throwIfAborted()
      const scannedAt = this.#clock.now().getTime()
      const names = await read(folder.fd, wanted)
      if (names !== undefined) windows.add(names, { after: wanted.after, scannedAt })
      return names
    }
    const soon = find() ?? (await scan(scanFewNames))
    // While it waited, another may have read what it wants.
    return soon ?? this.#turns.run(async () => find() ?? scan(scanNames), wanted.signal)
  }

  close(): void {
    this.#windows.clear()
  }
}

type Wanted = NamesWanted & { readonly signal: AbortSignal }
type Source = { readonly folder: OpenedFolder; readonly windows: FolderWindows }

/** Looks at names in their order until it has entries for a page. */
class PageReader {
  readonly #folder: OpenedFolder
  readonly #credentials: CredentialInodes
  readonly #limit: number
  readonly #entries: FolderEntry[] = []
  #refused = 0

  constructor(folder: OpenedFolder, credentials: CredentialInodes, limit: number) {
    this.#folder = folder
    this.#credentials = credentials
    this.#limit = limit
  }

  get isFull(): boolean {
    return this.#entries.length === this.#limit
  }

  /** How many of the names are dealt with: all, unless the page is full before. */
  async read(names: readonly ByteName[]): Promise<number> {
    let read = 0
    while (read < names.length && !this.isFull) {
      const missing = this.#limit - this.#entries.length
      const some = names.slice(read, read + Math.min(missing, LOOKS_AT_ONCE))
      const entries = await Promise.all(some.map((name) => this.#look(name)))
      this.#entries.push(...entries.filter((entry) => entry !== undefined))
      read += some.length
    }
    return read
  }

  entries(): readonly FolderEntry[] {
    // A folder that may be read and not entered shows names and nothing else.
    if (this.#refused > 0 && this.#refused === this.#entries.length) {
      throw new AppError('file_forbidden')
    }
    return this.#entries
  }

  /** Undefined for what has vanished, and for what is nobody's business. */
  async #look(name: ByteName): Promise<FolderEntry | undefined> {
    if (this.#folder.isHidden(textOf(name))) return undefined
    try {
      const stat = await lstatAt(this.#folder.fd, name)
      if (this.#credentials.has(stat)) return undefined
      return entryOf(name, stat)
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return undefined
      if (hasErrorCode(error, 'EACCES')) this.#refused += 1
      // A mount that is broken or somebody else's: there is something, and no more is known.
      return { ...tellName(Buffer.from(name, 'latin1')), type: 'other', size: 0, mtime: 0, mode: 0 }
    }
  }
}

function entryOf(name: ByteName, stat: BigIntStats): FolderEntry {
  return {
    ...tellName(Buffer.from(name, 'latin1')),
    type: typeOf(stat),
    size: Number(stat.size),
    mtime: wholeSeconds(stat.mtimeNs),
    mode: Number(stat.mode) & 0o7777,
  }
}

function typeOf(stat: BigIntStats): EntryType {
  if (stat.isFile()) return 'file'
  if (stat.isDirectory()) return 'dir'
  return stat.isSymbolicLink() ? 'symlink' : 'other'
}

/** Rounded down, before 1970 as well. */
function wholeSeconds(nanoseconds: bigint): number {
  const rest = ((nanoseconds % SECOND) + SECOND) % SECOND
  return Number((nanoseconds - rest) / SECOND)
}

const SECOND = 1_000_000_000n

function toAppError(error: unknown): unknown {
  if (error instanceof AppError) return error
  switch (errorCodeOf(error)) {
    case 'ENOENT':
      return new AppError('file_not_found')
    case 'EACCES':
    case 'EPERM':
      return new AppError('file_forbidden')
    default:
      return new AppError('stat_failed', { cause: error })
  }
}
