/** @module One folder on the way down of an archive, held open while what is in it is archived. */
import { type BigIntStats, closeSync, type Dir, opendir } from 'node:fs'
import { promisify } from 'node:util'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { ArchiveLimitError, archiveFailure } from './archive-limits.ts'
import {
  type ByteName,
  currentBytesPathOf,
  O_PATH,
  openBytesAt,
  procPath,
  statOf,
} from './descriptor.ts'

const openDirectory = promisify(opendir)

/** Names that one read of a folder brings; however many there are, no more are held. */
const NAMES_AT_ONCE = 128
/** A look may come in the middle of an honest rename; another one then tells. */
const MAX_LOOKS = 3

/** Something in a folder, named by a descriptor that the caller closes, and not opened yet. */
export type NamedEntry = { readonly fd: number; readonly stat: BigIntStats }

export class ArchiveLevel {
  readonly fd: number
  /** Below the root, as text, for the rules about names. */
  readonly segments: readonly string[]
  /** In the archive, with a slash at the end. */
  readonly archivePath: string
  readonly #realPath: ByteName
  readonly #names: Dir

  private constructor(place: LevelPlace, names: Dir) {
    this.fd = place.fd
    this.segments = place.segments
    this.archivePath = place.archivePath
    this.#realPath = place.realPath
    this.#names = names
  }

  /** Takes the descriptor over; when it rejects, it is closed. */
  static async open(place: LevelPlace): Promise<ArchiveLevel> {
    try {
      const options = { encoding: 'latin1', bufferSize: NAMES_AT_ONCE } as const
      return new ArchiveLevel(place, await openDirectory(procPath(place.fd), options))
    } catch (error) {
      closeSync(place.fd)
      throw error
    }
  }

  /** The next name, in the order of the file system; undefined behind the last. */
  async nextName(): Promise<ByteName | undefined> {
    return (await this.#names.read())?.name
  }

  /** Where the entry of that name is, as the kernel says it. */
  realPathOf(name: ByteName): ByteName {
    return `${this.#realPath}/${name}`
  }

  /**
   * Names what is there now, following nothing. undefined when nothing is, or when it went elsewhere
   * meanwhile. Throws when this folder itself did: what is in it may be anybody's then.
   */
  async find(name: ByteName): Promise<NamedEntry | undefined> {
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const found = await this.#look(name)
      if (found !== 'moved') return found
    }
    if (this.#isInPlace() || statOf(this.fd).nlink === 0n) return undefined
    throw archiveFailure('a folder was moved while it was archived')
  }

  async #look(name: ByteName): Promise<NamedEntry | undefined | 'moved'> {
    let fd: number
    try {
      fd = await openBytesAt(this.fd, name, O_PATH)
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return undefined
      throw error
    }
    try {
      const stat = statOf(fd)
      if (isAt(fd, this.realPathOf(name))) return { fd, stat }
    } catch (error) {
      closeSync(fd)
      throw error
    }
    closeSync(fd)
    return 'moved'
  }

  #isInPlace(): boolean {
    return isAt(this.fd, this.#realPath)
  }

  async close(): Promise<void> {
    try {
      await this.#names.close()
    } finally {
      closeSync(this.fd)
    }
  }
}

export type LevelPlace = {
  readonly fd: number
  /** Where the folder is, as the kernel says it. */
  readonly realPath: ByteName
  readonly segments: readonly string[]
  readonly archivePath: string
}

function isAt(fd: number, realPath: ByteName): boolean {
  try {
    return currentBytesPathOf(fd) === realPath
  } catch (error) {
    // So deep that the kernel cannot say where: then nobody can tell that it is inside.
    if (hasErrorCode(error, 'ENAMETOOLONG')) throw new ArchiveLimitError('path')
    throw error
  }
}
