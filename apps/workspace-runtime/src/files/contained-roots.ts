/** @module The four directories of the wire, held open from start to stop (design/path-safety 1). */
import { type BigIntStats, closeSync, constants, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import {
  ALLOWED_ROOTS,
  type AllowedRoot,
  AUTH_TOKEN_FILE,
  FORMER_INBOUND_SECRET_FILE,
  type FolderPath,
  INBOUND_SECRET_FILE,
  type WorkspacePath,
} from '@atrium/path-safety/workspace-path'
import { currentPathOf, O_PATH } from './descriptor.ts'
import { type OpenedFile, openContainedFile } from './open-contained-file.ts'
import { type OpenedFolder, openContainedFolder } from './open-contained-folder.ts'
import { openSessionFile, openSessionFolder, type SessionTarget } from './open-in-session.ts'

/** Absolute paths on this machine, by root. */
export type RootDirectories = Readonly<Record<AllowedRoot, string>>

export type PinnedRoot = {
  readonly fd: number
  /** What the kernel called the directory when it was pinned, without a trailing slash. */
  readonly realPath: string
}

/** The credentials as they lay there when they were looked for. */
export type CredentialInodes = { has(file: Pick<BigIntStats, 'ino' | 'dev'>): boolean }

export class ContainedRoots {
  readonly #roots: ReadonlyMap<AllowedRoot, PinnedRoot>
  readonly #credentialFiles: readonly string[]
  #isClosed = false

  private constructor(
    roots: ReadonlyMap<AllowedRoot, PinnedRoot>,
    credentialFiles: readonly string[],
  ) {
    this.#roots = roots
    this.#credentialFiles = credentialFiles
  }

  /**
   * Opens every root that exists. A root may be a symlink: the operator chose it, before anybody
   * was served. Throws when one is not a directory, and when `/proc` does not show descriptors:
   * then nothing could be judged, so nothing may be served. `credentialsDirectory` is where the
   * credential files are, which need not be the configs root.
   */
  static pin(directories: RootDirectories, credentialsDirectory: string): ContainedRoots {
    const roots = new Map<AllowedRoot, PinnedRoot>()
    const pinned = new ContainedRoots(
      roots,
      [AUTH_TOKEN_FILE, INBOUND_SECRET_FILE, FORMER_INBOUND_SECRET_FILE].map((name) =>
        join(credentialsDirectory, name),
      ),
    )
    try {
      for (const root of ALLOWED_ROOTS) {
        const found = pinDirectory(directories[root])
        if (found !== undefined) roots.set(root, found)
      }
    } catch (error) {
      pinned.close()
      throw error
    }
    return pinned
  }

  /**
   * Opens the regular file that the path names, for reading. Throws `file_not_found`,
   * `file_forbidden`, `not_a_regular_file`, `invalid_path`, `stat_failed`, or the signal's reason.
   * The caller closes what it gets.
   */
  open(path: WorkspacePath, signal?: AbortSignal): Promise<OpenedFile> {
    return openContainedFile(this, path, signal)
  }

  /**
   * Opens the folder that the path names, for reading its entries. Throws as `open` does, and
   * `not_a_directory`. The caller closes what it gets.
   */
  openFolder(path: FolderPath, signal?: AbortSignal): Promise<OpenedFolder> {
    return openContainedFolder(this, path, signal)
  }

  /**
   * Opens a regular file in the folder of a session; links are followed while they stay inside.
   * Throws `workspace_not_found`, `not_found`, `path_escape`, `is_a_directory`,
   * `not_a_regular_file`, `file_forbidden`, `stat_failed`, or the signal's reason.
   */
  openSessionFile(target: SessionTarget): Promise<OpenedFile> {
    return openSessionFile(this, target)
  }

  /** The same for a folder in it, or itself; `not_a_directory` in place of the two others. */
  openSessionFolder(target: SessionTarget): Promise<OpenedFolder> {
    return openSessionFolder(this, target)
  }

  /** The pinned directory, or undefined when it did not exist at the start. */
  find(root: AllowedRoot): PinnedRoot | undefined {
    return this.#roots.get(root)
  }

  /**
   * Whether an inode is one of the credentials as they lie there now, whatever name it was reached
   * by: a hard link, a bind mount, a link that the operator put in the secret's place.
   */
  isCredential(file: BigIntStats): boolean {
    return this.findCredentials().has(file)
  }

  /** `isCredential` for many files that are looked at within a moment. */
  findCredentials(): CredentialInodes {
    const live = this.#credentialFiles
      .map(statOrUndefined)
      .filter((credential) => credential !== undefined)
    return { has: (file) => live.some(({ ino, dev }) => ino === file.ino && dev === file.dev) }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const { fd } of this.#roots.values()) closeSync(fd)
  }
}

function pinDirectory(directory: string): PinnedRoot | undefined {
  let fd: number
  try {
    fd = openSync(directory, O_PATH | constants.O_DIRECTORY)
  } catch (cause) {
    if (hasErrorCode(cause, 'ENOENT')) return undefined
    throw new Error(`root ${directory} cannot be opened as a directory`, { cause })
  }
  try {
    // `/` has no name below which its children are.
    const realPath = currentPathOf(fd)
    return { fd, realPath: realPath === '/' ? '' : realPath }
  } catch (cause) {
    closeSync(fd)
    throw new Error('/proc/self/fd cannot be read: file access needs a mounted /proc', { cause })
  }
}

/** A credential that cannot be looked at cannot be anybody's opened file either, unless it is gone. */
function statOrUndefined(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false })
  } catch (error) {
    // A link in the secret's place that leads nowhere.
    if (hasErrorCode(error, 'ELOOP', 'ENOTDIR', 'EACCES', 'ENAMETOOLONG')) return undefined
    throw error
  }
}
