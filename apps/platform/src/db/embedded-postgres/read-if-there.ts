/** @module A file that may be missing. */
import { readFile } from 'node:fs/promises'
import { hasErrorCode } from '@atrium/http-kit/error-code'

/** The text of a file, or undefined when there is none. Throws when it cannot be read. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return undefined
    throw error
  }
}
