/**
 * @module The physical half of file access: a path becomes a descriptor step by step, and what is
 * judged is that descriptor, never a name (design/path-safety 1, contract/runtime 22 #2). Whatever
 * is renamed meanwhile, the walk either arrives below the root or fails.
 */
import { type BigIntStats, closeSync, constants } from 'node:fs'
import { AppError } from '@atrium/http-kit/app-error'
import { errorCodeOf } from '@atrium/http-kit/error-code'
import {
  isHiddenUploadTemporary,
  isSecretFile,
  type WorkspacePath,
} from '@atrium/path-safety/workspace-path'
import type { ContainedRoots, PinnedRoot } from './contained-roots.ts'
import { currentPathOf, O_PATH, openAt, reopen, statOf } from './descriptor.ts'

/** A regular file below a root, open for reading. */
export type OpenedFile = {
  readonly fd: number
  /** Bytes when it was opened. */
  readonly size: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly ino: bigint
  readonly dev: bigint
  /** The last component of the path it was asked for by. */
  readonly name: string
  /** Closes the descriptor; further calls do nothing. No read may be in flight. */
  close(): void
}

/** An honest rename in the middle of the walk is worth another look, an endless one is not. */
const MAX_WALKS = 3

/** See `ContainedRoots.open`. */
export async function openContainedFile(
  roots: ContainedRoots,
  path: WorkspacePath,
  signal?: AbortSignal,
): Promise<OpenedFile> {
  // Same answer as for a file that is not there: its existence is nobody's business.
  if (isSecretFile(path) || isHiddenUploadTemporary(path)) throw new AppError('file_not_found')
  const root = roots.find(path.root)
  if (root === undefined) throw new AppError('file_not_found')
  for (let walk = 0; walk < MAX_WALKS; walk += 1) {
    signal?.throwIfAborted()
    const file = await walkAndOpen(roots, root, path)
    if (file !== 'moved') return file
  }
  throw new AppError('file_not_found')
}

async function walkAndOpen(
  roots: ContainedRoots,
  root: PinnedRoot,
  path: WorkspacePath,
): Promise<OpenedFile | 'moved'> {
  let named: number | undefined
  try {
    named = await nameLastComponent(root, path.segments)
    judge(roots, path, statOf(named))
    // Belt and braces: a directory that was moved out of the root while we held it, a file system
    // that folds case, a file deleted meanwhile (`... (deleted)`). The whole string, never a prefix.
    const expected = `${root.realPath}/${path.segments.join('/')}`
    if (currentPathOf(named) !== expected) return 'moved'
    return await openForReading(named, path)
  } catch (error) {
    throw toAppError(error)
  } finally {
    if (named !== undefined) closeSync(named)
  }
}

/** An O_PATH descriptor of the last component, whatever it is. The caller closes it. */
async function nameLastComponent(root: PinnedRoot, segments: readonly string[]): Promise<number> {
  const last = segments.at(-1) ?? ''
  let held: number | undefined
  try {
    for (const segment of segments.slice(0, -1)) {
      // With O_DIRECTORY a symlink is ENOTDIR: no link is ever followed.
      const next = await openAt(held ?? root.fd, segment, O_PATH | constants.O_DIRECTORY)
      if (held !== undefined) closeSync(held)
      held = next
    }
    return await openAt(held ?? root.fd, last, O_PATH)
  } finally {
    if (held !== undefined) closeSync(held)
  }
}

function judge(roots: ContainedRoots, path: WorkspacePath, stat: BigIntStats): void {
  // O_PATH|O_NOFOLLOW names a symlink itself; FIFOs, sockets and devices were not opened yet.
  if (!stat.isFile()) throw new AppError('not_a_regular_file')
  if (roots.isCredential(stat)) throw new AppError('file_not_found')
  // A hard link looks like any file; elsewhere pnpm, uv and git trees are full of them.
  if (path.root === 'configs' && stat.nlink > 1n) throw new AppError('file_forbidden')
}

async function openForReading(named: number, path: WorkspacePath): Promise<OpenedFile> {
  const fd = await reopen(named, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  let isOpen = true
  function close(): void {
    if (!isOpen) return
    isOpen = false
    closeSync(fd)
  }
  try {
    const { size, mtimeNs, ctimeNs, ino, dev } = statOf(fd)
    return {
      fd,
      size: Number(size),
      mtimeNs,
      ctimeNs,
      ino,
      dev,
      name: path.segments.at(-1) ?? '',
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}

/** Contract/runtime 22 #3. */
function toAppError(error: unknown): unknown {
  if (error instanceof AppError) return error
  switch (errorCodeOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new AppError('file_not_found')
    case 'ELOOP':
    case 'EMLINK':
    case 'ENXIO':
      return new AppError('not_a_regular_file')
    case 'EACCES':
    case 'EPERM':
      return new AppError('file_forbidden')
    case 'ENAMETOOLONG':
      return new AppError('invalid_path')
    default:
      return new AppError('stat_failed', { cause: error })
  }
}
