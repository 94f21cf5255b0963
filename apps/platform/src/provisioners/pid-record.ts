/** @module The note that lets the next platform find a runtime which this one left behind. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { z } from 'zod'
import { AnchoredFolder } from './anchored-folder.ts'

const FILE_NAME = 'runtime.pid.json'
// The workspace can write here: what is read back is bounded and judged, never believed.
const MAX_BYTES = 4096

const pidRecordSchema = z.object({
  pid: z.number().int().min(2),
  startTicks: z.number().int().nonnegative(),
  bootId: z.string(),
  generation: z.number().int(),
})
export type PidRecord = z.infer<typeof pidRecordSchema>

/** Writes the record, whole or not at all. */
export async function writePidRecord(
  boxRoot: string,
  temporaryName: string,
  record: PidRecord,
): Promise<void> {
  await using root = await AnchoredFolder.open(boxRoot)
  await root.writeFile(FILE_NAME, `${JSON.stringify(record)}\n`, { folder: root, temporaryName })
}

/** The record, or undefined when there is none or it is not one. */
export async function readPidRecord(boxRoot: string): Promise<PidRecord | undefined> {
  const text = await readBounded(join(boxRoot, FILE_NAME))
  if (text === undefined) return undefined
  try {
    return pidRecordSchema.safeParse(JSON.parse(text)).data
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Removes the record; nothing there is success. */
export async function removePidRecord(boxRoot: string): Promise<void> {
  try {
    await using root = await AnchoredFolder.open(boxRoot)
    await root.remove(FILE_NAME)
  } catch (error) {
    if (!isAbsent(error)) throw error
  }
}

async function readBounded(path: string): Promise<string | undefined> {
  try {
    // O_NONBLOCK: a FIFO in its place must not hold up the start of the platform.
    await using file = await open(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    )
    if (!(await file.stat()).isFile()) return undefined
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/** Missing, or something else lies in its place: a link (ELOOP), a socket (ENXIO), not a folder. */
function isAbsent(error: unknown): boolean {
  return hasErrorCode(error, 'ENOENT', 'ELOOP', 'ENXIO', 'ENOTDIR')
}
