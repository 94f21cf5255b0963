/** @module Regular files below a root, opened for reading. */
import { type BigIntStats, closeSync, constants } from 'node:fs'
import { AppError } from '@atrium/http-kit/app-error'
import type { WorkspacePath } from '@atrium/path-safety/workspace-path'
import type { ContainedRoots } from './contained-roots.ts'
import { reopen, statOf } from './descriptor.ts'
import { walkContained } from './walk-contained.ts'

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

/** See `ContainedRoots.open`. */
export function openContainedFile(
  roots: ContainedRoots,
  path: WorkspacePath,
  signal?: AbortSignal,
): Promise<OpenedFile> {
  return walkContained(roots, path, {
    judge: (stat) => judge(roots, path, stat),
    open: (named) => openFileOf(named, path.segments.at(-1) ?? ''),
    signal,
  })
}

function judge(roots: ContainedRoots, path: WorkspacePath, stat: BigIntStats): void {
  // O_PATH|O_NOFOLLOW names a symlink itself; FIFOs, sockets and devices were not opened yet.
  if (!stat.isFile()) throw new AppError('not_a_regular_file')
  if (roots.isCredential(stat)) throw new AppError('file_not_found')
  // A hard link looks like any file; elsewhere pnpm, uv and git trees are full of them.
  if (path.root === 'configs' && stat.nlink > 1n) throw new AppError('file_forbidden')
}

/** Opens the regular file that an O_PATH descriptor names, for reading. */
export async function openFileOf(named: number, name: string): Promise<OpenedFile> {
  const fd = await reopen(named, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  const close = closeOnce(fd)
  try {
    const { size, mtimeNs, ctimeNs, ino, dev } = statOf(fd)
    return { fd, size: Number(size), mtimeNs, ctimeNs, ino, dev, name, close }
  } catch (error) {
    close()
    throw error
  }
}

/** By the second call the number may be somebody else's. */
export function closeOnce(fd: number): () => void {
  let isOpen = true
  return () => {
    if (!isOpen) return
    isOpen = false
    closeSync(fd)
  }
}
