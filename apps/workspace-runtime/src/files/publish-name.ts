/** @module Giving a finished file its name, without ever replacing what has that name already. */
import { closeSync, link, lstatSync, rename, unlink } from 'node:fs'
import { promisify } from 'node:util'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { createAt, procPath, statOf } from './descriptor.ts'

const linkName = promisify(link)
const renameName = promisify(rename)
const removeName = promisify(unlink)

export type Publication = {
  readonly directory: number
  /** The hidden name and the open file it was created as. */
  readonly temporaryName: string
  readonly fd: number
  readonly finalName: string
}

// Vfat, some FUSE and object-store mounts have no hard links.
const NO_LINKS: ReadonlySet<string> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EXDEV',
  'EMLINK',
])

/**
 * Makes the file visible under its final name; the hidden name may stay behind. Returns false when
 * the final name is taken. Rejects with the system's error, or when the hidden name was swapped for
 * another file meanwhile; then no name is left.
 */
export async function publishName(publication: Publication): Promise<boolean> {
  const { directory, finalName, fd } = publication
  if (!(await linkOrRename(publication))) return false
  const published = lstatSync(procPath(directory, finalName), { bigint: true })
  const written = statOf(fd)
  if (published.ino === written.ino && published.dev === written.dev) return true
  await removeName(procPath(directory, finalName))
  throw new Error('the temporary file was replaced before it was published')
}

async function linkOrRename(publication: Publication): Promise<boolean> {
  const { directory, temporaryName, finalName } = publication
  try {
    await linkName(procPath(directory, temporaryName), procPath(directory, finalName))
    return true
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) return false
    if (hasErrorCode(error, ...NO_LINKS)) return publishByRename(publication)
    throw error
  }
}

/**
 * For file systems without links: reserves the final name with an empty file of our own and
 * renames over it. Not as good: for a moment the name shows an empty file. Returns false when the
 * name is taken.
 */
export async function publishByRename(publication: Omit<Publication, 'fd'>): Promise<boolean> {
  const { directory, temporaryName, finalName } = publication
  const finalPath = procPath(directory, finalName)
  try {
    closeSync(await createAt(directory, finalName))
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) return false
    throw error
  }
  try {
    await renameName(procPath(directory, temporaryName), finalPath)
    return true
  } catch (error) {
    await removeName(finalPath)
    throw error
  }
}
