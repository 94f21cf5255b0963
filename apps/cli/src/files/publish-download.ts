/** @module Gives a finished download its name without ever overwriting something by accident. */
import { link, open, rename } from 'node:fs/promises'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { usageFailure } from '../failure.ts'

const MOST_NUMBERED_NAMES = 999

/** `report.md` and 2 make `report (2).md`; 0 leaves the name as it is. */
export function numberedName(fileName: string, number: number): string {
  if (number === 0) return fileName
  const dot = fileName.lastIndexOf('.')
  const stem = dot > 0 ? fileName.slice(0, dot) : fileName
  return `${stem} (${number})${fileName.slice(stem.length)}`
}

/**
 * Names `partPath` `target` unless that exists; false when it does. `link` refuses an existing name
 * in one step, where looking first and renaming then would lose a race.
 */
async function linkExclusively(partPath: string, target: string): Promise<boolean> {
  try {
    await link(partPath, target)
    return true
  } catch (thrown) {
    if (hasErrorCode(thrown, 'EEXIST')) return false
    // vfat, some FUSE and network mounts have no hard links: an exclusive placeholder instead.
    if (!hasErrorCode(thrown, 'EPERM', 'ENOTSUP', 'EXDEV', 'EOPNOTSUPP', 'EMLINK')) {
      throw thrown
    }
  }
  try {
    await (await open(target, 'wx')).close()
  } catch (thrown) {
    if (hasErrorCode(thrown, 'EEXIST')) return false
    throw thrown
  }
  await rename(partPath, target)
  return true
}

export type PublishMode = 'refuse' | 'replace' | 'number'

/**
 * Names the finished part and returns the final path: `refuse` throws a usage failure when the
 * target exists, `replace` overwrites it, `number` adds ` (1)`, ` (2)` and so on. The part itself
 * may remain as a second link; the caller discards it.
 */
export async function publishDownload(
  partPath: string,
  targetPath: string,
  mode: PublishMode,
): Promise<string> {
  if (mode === 'replace') {
    await rename(partPath, targetPath)
    return targetPath
  }
  if (mode === 'refuse') {
    if (await linkExclusively(partPath, targetPath)) return targetPath
    throw existsFailure(targetPath)
  }
  const slash = targetPath.lastIndexOf('/') + 1
  for (let number = 0; number <= MOST_NUMBERED_NAMES; number += 1) {
    const name = numberedName(targetPath.slice(slash), number)
    const candidate = targetPath.slice(0, slash) + name
    if (await linkExclusively(partPath, candidate)) return candidate
  }
  throw existsFailure(targetPath)
}

/** The refusal to overwrite (exit 2). */
export function existsFailure(targetPath: string) {
  return usageFailure(`${targetPath} exists`, 'use --force to overwrite it, or another name')
}
