/** @module Folders below a root, and the roots themselves, opened for reading their entries. */
import { type BigIntStats, constants } from 'node:fs'
import { AppError } from '@atrium/http-kit/app-error'
import { type FolderPath, isHiddenEntry } from '@atrium/path-safety/workspace-path'
import type { ContainedRoots } from './contained-roots.ts'
import { currentPathOf, reopen, statOf } from './descriptor.ts'
import { closeOnce } from './open-contained-file.ts'
import { walkContained } from './walk-contained.ts'

/** A folder, open for reading its entries; a name in it is reached by `openAt` and `lstatAt`. */
export type OpenedFolder = {
  readonly fd: number
  readonly stat: BigIntStats
  /** Whether an entry of that name is nobody's business; credentials are told by `isCredential`. */
  isHidden(name: string): boolean
  /** Whether it still is where it was asked for; what was read of it is for nobody otherwise. */
  isInPlace(): boolean
  /** Closes the descriptor; further calls do nothing. Nothing may be in flight. */
  close(): void
}

const READ_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY

/** See `ContainedRoots.openFolder`. */
export function openContainedFolder(
  roots: ContainedRoots,
  path: FolderPath,
  signal?: AbortSignal,
): Promise<OpenedFolder> {
  return walkContained(roots, path, {
    judge(stat) {
      if (!stat.isDirectory()) throw new AppError('not_a_directory')
    },
    open: (named, realPath) =>
      openFolderOf(named, {
        isHidden: (name) => isHiddenEntry(path, name),
        isInPlace: (fd) => currentPathOf(fd) === realPath,
      }),
    signal,
  })
}

export type FolderRules = Pick<OpenedFolder, 'isHidden'> & {
  isInPlace(fd: number): boolean
}

/** Opens the folder that an O_PATH descriptor names. */
export async function openFolderOf(
  named: number,
  { isHidden, isInPlace }: FolderRules,
): Promise<OpenedFolder> {
  const fd = await reopen(named, READ_DIRECTORY)
  const close = closeOnce(fd)
  try {
    return { fd, stat: statOf(fd), isHidden, isInPlace: () => isInPlace(fd), close }
  } catch (error) {
    close()
    throw error
  }
}
