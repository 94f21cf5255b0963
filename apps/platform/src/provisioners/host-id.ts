/** @module The name of the machine that boxes are bound to, kept beside the boxes. */
import type { Ids } from '@atrium/http-kit/clock'
import { AnchoredFolder } from './anchored-folder.ts'

const FILE_NAME = 'host-id'
const HOST_ID = /^[0-9a-f]{32}$/

/**
 * Reads the id of `baseDir`, or makes one, once: it moves with the boxes and differs from that of
 * every other folder. The caller holds the folder's lock. Throws when the file says something else,
 * because a new id would disown every workspace there.
 */
export async function keepHostId(baseDir: string, ids: Ids): Promise<string> {
  await using base = await AnchoredFolder.open(baseDir)
  await using file = await base.findFile(FILE_NAME)
  if (file === undefined) {
    const made = ids.hex(16)
    // The same temporary name every time: what a crash left is replaced.
    await base.remove(`.${FILE_NAME}.part`)
    const staging = { folder: base, temporaryName: `.${FILE_NAME}.part` }
    await base.writeFile(FILE_NAME, made, staging)
    return made
  }
  const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0)
  const id = buffer.toString('latin1', 0, bytesRead).trim()
  if (!HOST_ID.test(id)) throw new Error(`${baseDir}/${FILE_NAME} does not hold a host id`)
  return id
}
