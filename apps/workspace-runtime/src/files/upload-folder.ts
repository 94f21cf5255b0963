/** @module The one folder that uploads and agents' files are stored in (contract/runtime 2.3). */
import { closeSync, constants, fsync, mkdir } from 'node:fs'
import { promisify } from 'node:util'
import { AppError } from '@atrium/http-kit/app-error'
import type { Ids } from '@atrium/http-kit/clock'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { UPLOADS_DIR } from '@atrium/runtime-contract/file-transfer'
import type { ContainedRoots } from './contained-roots.ts'
import { currentPathOf, openAt, procPath, reopen } from './descriptor.ts'
import { storageFailure } from './storage-failure.ts'
import { UploadBatch } from './upload-batch.ts'

const makeDirectory = promisify(mkdir)
const syncFile = promisify(fsync)

const FOLDER_MODE = 0o750
// Not O_PATH: a folder that gets new entries is fsynced.
const READ_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY
// `/workspace/a/b` on the wire is `a/b` below the workspace root.
const FOLDER_SEGMENTS = UPLOADS_DIR.split('/').slice(2)

export type UploadFolderDeps = {
  readonly roots: ContainedRoots
  readonly ids: Ids
  readonly isFsyncOn: boolean
  /** Called for a temporary file that could not be removed; the sweep will. */
  readonly onLeftover: (error: unknown) => void
}

export class UploadFolder {
  readonly #deps: UploadFolderDeps
  /** Temporary names in use by this process: the sweep leaves them alone, however old. */
  readonly #live = new Set<string>()

  constructor(deps: UploadFolderDeps) {
    this.#deps = deps
  }

  /** Starts a set of files that appear together or not at all. Throws as `open` does. */
  async begin(): Promise<UploadBatch> {
    const { ids, isFsyncOn, onLeftover } = this.#deps
    const directory = await this.open()
    const isInPlace = (): boolean => this.#isInPlace(directory)
    return new UploadBatch({ directory, isInPlace, ids, isFsyncOn, onLeftover, live: this.#live })
  }

  isLive(temporaryName: string): boolean {
    return this.#live.has(temporaryName)
  }

  /** The folder, made where it is missing. As `openExisting`, but it never comes back empty. */
  async open(): Promise<number> {
    const directory = await this.#walk((held, segment) => this.#ensure(held, segment))
    if (directory !== undefined) return directory
    throw new AppError('uploads_dir_failed', { internal: 'there is no workspace root' })
  }

  /**
   * The folder as a descriptor that the caller closes, or undefined when it does not exist. Every
   * step is taken in the directory that is held, so nobody can lead it elsewhere by a link
   * (contract/runtime 21 #13). Throws `uploads_dir_failed` or `insufficient_storage`.
   */
  async openExisting(): Promise<number | undefined> {
    return this.#walk(async () => undefined)
  }

  async #walk(
    prepare: (held: number, segment: string) => Promise<void>,
  ): Promise<number | undefined> {
    const root = this.#deps.roots.find('workspace')
    if (root === undefined) return undefined
    let held: number | undefined
    try {
      for (const segment of FOLDER_SEGMENTS) {
        await prepare(held ?? root.fd, segment)
        const next = await openAt(held ?? root.fd, segment, READ_DIRECTORY)
        if (held !== undefined) closeSync(held)
        held = next
      }
      const directory = held
      held = undefined
      return directory
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return undefined
      throw storageFailure(error, 'uploads_dir_failed')
    } finally {
      if (held !== undefined) closeSync(held)
    }
  }

  #isInPlace(directory: number): boolean {
    const root = this.#deps.roots.find('workspace')
    return currentPathOf(directory) === `${root?.realPath}/${FOLDER_SEGMENTS.join('/')}`
  }

  async #ensure(directory: number, segment: string): Promise<void> {
    try {
      await makeDirectory(procPath(directory, segment), FOLDER_MODE)
    } catch (error) {
      if (hasErrorCode(error, 'EEXIST')) return
      throw error
    }
    if (this.#deps.isFsyncOn) await syncDirectory(directory)
  }
}

/** A new entry is durable once its directory is; a pinned root has to be opened for that. */
async function syncDirectory(directory: number): Promise<void> {
  const fd = await reopen(directory, READ_DIRECTORY)
  try {
    await syncFile(fd)
  } finally {
    closeSync(fd)
  }
}
