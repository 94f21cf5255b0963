/**
 * @module Folders held open by descriptor, so that what a workspace does to its own tree (a folder
 * swapped for a symbolic link) cannot redirect a write of the platform (design/path-safety 1b).
 */
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import process from 'node:process'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { giveContents, type Owner } from './box-user.ts'
import { removeTree } from './remove-tree.ts'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
const OPEN_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
// O_NONBLOCK: a FIFO in the place of a file must not hold the reader up.
const READ_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const CREATE_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/**
 * A pinned folder. Whoever opens one closes it (`await using`). What is made inside belongs to
 * whoever the folder belongs to.
 */
export class AnchoredFolder implements AsyncDisposable {
  readonly #handle: FileHandle

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** Opens an existing folder by its path; its last component may not be a symbolic link. */
  static async open(path: string): Promise<AnchoredFolder> {
    return new AnchoredFolder(await open(path, OPEN_FOLDER))
  }

  /** As `open`; undefined when no folder, or a link, is there. */
  static async find(path: string): Promise<AnchoredFolder | undefined> {
    return unlessAbsent(() => AnchoredFolder.open(path))
  }

  /** Opens the folder `name` directly inside, 0700, creating it when missing. Throws on a link. */
  async openFolder(name: string): Promise<AnchoredFolder> {
    const isNew = await madeFolder(this.#at(name))
    const handle = await open(this.#at(name), OPEN_FOLDER)
    await handle.chmod(FOLDER_MODE)
    if (isNew) await this.#giveToOwner(handle)
    return new AnchoredFolder(handle)
  }

  /** Gives the folder with everything in it to `owner`, unless it is the owner's already. */
  async giveTo(owner: Owner): Promise<void> {
    const { uid, gid } = await this.#handle.stat()
    if (!canGiveAway() || (uid === owner.uid && gid === owner.gid)) return
    await giveContents(`/proc/self/fd/${this.#handle.fd}`, owner)
    // Last: until then, the next start does it all again.
    await this.#handle.chown(owner.uid, owner.gid)
  }

  async #giveToOwner(handle: FileHandle): Promise<void> {
    const [owner, made] = [await this.#handle.stat(), await handle.stat()]
    if (owner.uid !== made.uid || owner.gid !== made.gid) await handle.chown(owner.uid, owner.gid)
  }

  /** Opens the folder `name` directly inside; undefined when no folder, or a link, is there. */
  async findFolder(name: string): Promise<AnchoredFolder | undefined> {
    return AnchoredFolder.find(this.#at(name))
  }

  /**
   * Opens the regular file `name` directly inside for reading; undefined when it is missing or
   * something else, such as a link, a FIFO or a device. The caller closes it.
   */
  async findFile(name: string): Promise<FileHandle | undefined> {
    const file = await unlessAbsent(() => open(this.#at(name), READ_FILE))
    if (file === undefined) return undefined
    try {
      if ((await file.stat()).isFile()) return file
    } catch (error) {
      await file.close()
      throw error
    }
    await file.close()
    return undefined
  }

  /**
   * Puts a file of mode 0600 in place: whole or not at all, also after a power cut. The temporary
   * file lies in `staging`, which must be on the same file system.
   */
  async writeFile(
    name: string,
    content: Uint8Array | string,
    staging: { readonly folder: AnchoredFolder; readonly temporaryName: string },
  ): Promise<void> {
    const temporary = staging.folder.#at(staging.temporaryName)
    try {
      const file = await open(temporary, CREATE_FILE, FILE_MODE)
      try {
        await file.writeFile(content)
        await this.#giveToOwner(file)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, this.#at(name))
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    await this.#handle.sync()
  }

  /** The names directly inside. */
  async names(): Promise<readonly string[]> {
    return readdir(`/proc/self/fd/${this.#handle.fd}`)
  }

  /** Removes a file or a tree directly inside; a symbolic link is removed itself. */
  async remove(name: string): Promise<void> {
    await removeTree(this.#at(name))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }

  #at(name: string): string {
    if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) {
      throw new Error('not the name of a single file')
    }
    return `/proc/self/fd/${this.#handle.fd}/${name}`
  }
}

/** Only root makes files for others; everybody else owns all that it could change. */
function canGiveAway(): boolean {
  return process.geteuid?.() === 0
}

/** Whether the folder was not there before. */
async function madeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: FOLDER_MODE })
    return true
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) return false
    throw error
  }
}

/** Missing, or not what was asked for: a link (ELOOP), a socket or dead device (ENXIO), no folder. */
async function unlessAbsent<T>(opening: () => Promise<T>): Promise<T | undefined> {
  try {
    return await opening()
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return undefined
    throw error
  }
}
