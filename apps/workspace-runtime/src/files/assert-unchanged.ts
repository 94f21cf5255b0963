/** @module Whether a file that was sent is still what it was when it was opened. */
import { statOf } from './descriptor.ts'
import type { OpenedFile } from './open-contained-file.ts'

/**
 * Changed content shows in the size or the time of modification; a rename or a new link does not.
 * A log that grew meanwhile was sent as it was when it was opened (contract/runtime 3.4): refusing
 * it would make a busy one impossible to download.
 */
export function assertUnchanged(file: Pick<OpenedFile, 'fd' | 'size' | 'mtimeNs'>): void {
  const { size, mtimeNs } = statOf(file.fd)
  if (Number(size) > file.size) return
  if (Number(size) < file.size || mtimeNs !== file.mtimeNs) {
    throw new Error('the file changed while it was sent')
  }
}
