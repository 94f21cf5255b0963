/** @module The files of one message while its command runs, and what a crash left of earlier ones. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { safeFileName } from '@atrium/path-safety/file-name'
import type { InboundMessage } from './inbound-message.ts'
import { makePrivateFolder } from './private-file.ts'
import { pidOf, processMark } from './process-mark.ts'

const JOBS = 'jobs'
const MARK = 'process'

export type PlacedFile = {
  readonly name: string
  readonly mimeType: string
  /** Where the command finds it; null for a file that the message only refers to. */
  readonly path: string | null
  readonly uri: string | null
}

export type JobFolder = {
  readonly path: string
  readonly messagePath: string
  readonly files: readonly PlacedFile[]
  /** Notes the group of the command, so that a later start can end what outlived this process. */
  started(pid: number): Promise<void>
  remove(): Promise<void>
}

/** Makes the folder of a message: the message itself as JSON, and the files that came inside it. */
export async function makeJobFolder(
  stateFolder: string,
  message: InboundMessage,
): Promise<JobFolder> {
  const path = join(stateFolder, JOBS, message.rowId)
  await rm(path, { recursive: true, force: true })
  await makePrivateFolder(join(path, 'files'))
  const messagePath = join(path, 'message.json')
  await writeFile(messagePath, JSON.stringify(message.raw), { mode: 0o600 })
  const files: PlacedFile[] = []
  for (const [index, file] of message.files.entries()) {
    const { bytes, mimeType, uri = null } = file
    // The number keeps equal names apart; the name is the sender's words and made harmless.
    const name = `${index + 1}-${safeFileName(file.name)}`
    const target = bytes === undefined ? null : join(path, 'files', name)
    if (bytes !== undefined && target !== null) {
      await writeFile(target, Buffer.from(bytes, 'base64'), { mode: 0o600 })
    }
    files.push({ name, mimeType, path: target, uri })
  }
  return {
    path,
    messagePath,
    files,
    started: (pid) => writeFile(join(path, MARK), processMark(pid), { mode: 0o600 }),
    remove: () => rm(path, { recursive: true, force: true }),
  }
}

/** Ends commands that outlived an earlier run, before their messages are given to new ones. */
export async function sweepJobs(
  stateFolder: string,
  endGroup: (pid: number) => void,
): Promise<void> {
  const jobs = join(stateFolder, JOBS)
  await makePrivateFolder(jobs)
  for (const name of await readdir(jobs)) {
    const mark = await readFile(join(jobs, name, MARK), 'utf8').catch(() => '')
    // Without a start time the number may be anybody's by now.
    if (mark.includes(' ') && processMark(pidOf(mark)) === mark) endGroup(pidOf(mark))
    await rm(join(jobs, name), { recursive: true, force: true })
  }
}
