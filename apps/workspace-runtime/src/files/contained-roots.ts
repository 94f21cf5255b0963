/** @module The four directories of the wire, held open from start to stop (design/path-safety 1). */
import { type BigIntStats, closeSync, constants, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import {
  ALLOWED_ROOTS,
  type AllowedRoot,
  AUTH_TOKEN_FILE,
  FORMER_INBOUND_SECRET_FILE,
  INBOUND_SECRET_FILE,
  type WorkspacePath,
} from '@atrium/path-safety/workspace-path'
import { currentPathOf, O_PATH } from './descriptor.ts'
import { type OpenedFile, openContainedFile } from './open-contained-file.ts'

/** Absolute paths on this machine, by root. */
export type RootDirectories = Readonly<Record<AllowedRoot, string>>

export type PinnedRoot = {
  readonly fd: number
  /** What the kernel called the directory when it was pinned, without a trailing slash. */
  readonly realPath: string
}

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

  /** The pinned directory, or undefined when it did not exist at the start. */
  find(root: AllowedRoot): PinnedRoot | undefined {
    return this.#roots.get(root)
  }

  /**
   * Whether an inode is one of the credentials as they lie there now, whatever name it was reached
   * by: a hard link, a bind mount, a link that the operator put in the secret's place.
   */
  isCredential(file: BigIntStats): boolean {
    return this.#credentialFiles.some((path) => {
      const live = statOrUndefined(path)
      return live !== undefined && live.ino === file.ino && live.dev === file.dev
    })
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
