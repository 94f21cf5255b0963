/**
 * @module The physical half of file access: a path becomes a descriptor step by step, and what is
 * judged is that descriptor, never a name (design/path-safety 1, contract/runtime 22 #2). Whatever
 * is renamed meanwhile, the walk either arrives below the root or fails.
 */
import { type BigIntStats, closeSync, constants } from 'node:fs'
import { AppError } from '@atrium/http-kit/app-error'
import { errorCodeOf } from '@atrium/http-kit/error-code'
import {
  type FolderPath,
  isHiddenUploadTemporary,
  isSecretFile,
} from '@atrium/path-safety/workspace-path'
import type { ContainedRoots, PinnedRoot } from './contained-roots.ts'
import { currentPathOf, O_PATH, openAt, reopen, statOf } from './descriptor.ts'

/** What is wanted of the thing that a path names. */
export type Wanted<Opened> = {
  /** Looks at it before it is opened, and throws when it is not for the asking. */
  judge(stat: BigIntStats): void
  /**
   * Opens it anew: `named` is an O_PATH descriptor, which is closed afterwards, and `realPath` what
   * the kernel calls it, for as long as it is where the path says.
   */
  open(named: number, realPath: string): Promise<Opened>
}

/** An honest rename in the middle of the walk is worth another look, an endless one is not. */
export const MAX_WALKS = 3

/**
 * Opens what the path names below its root, or the root itself; no link is followed anywhere.
 * Throws `file_not_found`, `file_forbidden`, `not_a_regular_file`, `invalid_path`, `stat_failed`,
 * what `judge` throws, or the signal's reason.
 */
export async function walkContained<Opened>(
  roots: ContainedRoots,
  path: FolderPath,
  { judge, open, signal }: Wanted<Opened> & { readonly signal?: AbortSignal | undefined },
): Promise<Opened> {
  // Same answer as for a file that is not there: its existence is nobody's business.
  if (isSecretFile(path) || isHiddenUploadTemporary(path)) throw new AppError('file_not_found')
  const root = roots.find(path.root)
  if (root === undefined) throw new AppError('file_not_found')
  for (let walk = 0; walk < MAX_WALKS; walk += 1) {
    signal?.throwIfAborted()
    const opened = await walkAndOpen(root, path, { judge, open })
    if (opened !== 'moved') return opened
  }
  throw new AppError('file_not_found')
}

async function walkAndOpen<Opened>(
  root: PinnedRoot,
  path: FolderPath,
  wanted: Wanted<Opened>,
): Promise<Opened | 'moved'> {
  const realPath = [root.realPath, ...path.segments].join('/') || '/'
  let named: number | undefined
  try {
    named = await nameLastComponent(root, path.segments)
    wanted.judge(statOf(named))
    // Belt and braces: a directory that was moved out of the root while we held it, a file system
    // that folds case, a file deleted meanwhile (`... (deleted)`). The whole string, never a prefix.
    if (currentPathOf(named) !== realPath) return 'moved'
    return await wanted.open(named, realPath)
  } catch (error) {
    throw toAppError(error)
  } finally {
    if (named !== undefined) closeSync(named)
  }
}

/** An O_PATH descriptor of the last component, whatever it is. The caller closes it. */
async function nameLastComponent(root: PinnedRoot, segments: readonly string[]): Promise<number> {
  const last = segments.at(-1)
  if (last === undefined) return reopen(root.fd, O_PATH | constants.O_DIRECTORY)
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
