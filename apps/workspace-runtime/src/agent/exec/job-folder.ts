/**
 * @module The folder of one job, `<workspace>/.atrium/jobs/<id>`: attachments in it, `output` below
 * it. Reached by descriptors, not by path: what an agent puts in its way is never followed
 * (design/path-safety 1b).
 */
import { closeSync, constants } from 'node:fs'
import { copyFile, mkdir, open, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCodeOf, hasErrorCode } from '@atrium/http-kit/error-code'
import { O_PATH, openAt, procPath, reopen, statOf } from '../../files/descriptor.ts'
import type { Attachment } from '../agent-adapter.ts'
import type { PlacedAttachment } from './child-environment.ts'

const OUTPUT = 'output'
const JOBS_PATH = ['.atrium', 'jobs'] as const
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY
const MAX_OUTPUTS = 64

/** A file that the command left in `output`, open for reading; or why it cannot be sent. */
export type Output =
  | { readonly name: string; readonly fd: number }
  | { readonly name: string; readonly problem: string }

export class JobFolder {
  readonly path: string
  readonly outputPath: string
  readonly #jobs: number
  readonly #job: number
  readonly #id: string

  private constructor(place: { path: string; id: string; jobs: number; job: number }) {
    this.path = place.path
    this.outputPath = join(place.path, OUTPUT)
    this.#id = place.id
    this.#jobs = place.jobs
    this.#job = place.job
  }

  /** Makes the folder. Throws the system's error; nothing is left open then. */
  static async create(workspaceDirectory: string, id: string): Promise<JobFolder> {
    const jobs = await openJobs(workspaceDirectory)
    let job: number | undefined
    try {
      await mkdir(procPath(jobs, id), { mode: 0o700 })
      job = await openAt(jobs, id, DIRECTORY)
      await mkdir(procPath(job, OUTPUT), { mode: 0o700 })
      const path = join(workspaceDirectory, ...JOBS_PATH, id)
      return new JobFolder({ path, id, jobs, job })
    } catch (error) {
      if (job !== undefined) closeSync(job)
      closeSync(jobs)
      throw error
    }
  }

  /**
   * Removes what jobs of an earlier, crashed run left behind; what cannot be removed is told to
   * `onLeft` and stays. Throws the system's error when the folder of the jobs cannot be opened.
   */
  static async sweep(workspaceDirectory: string, onLeft: (error: unknown) => void): Promise<void> {
    const jobs = await openJobs(workspaceDirectory)
    try {
      for (const id of await readdir(procPath(jobs))) {
        await rm(procPath(jobs, id), { recursive: true, force: true }).catch(onLeft)
      }
    } finally {
      closeSync(jobs)
    }
  }

  /** Copies the attachments in, so that a command may change them; equal names get a number. */
  async place(attachments: readonly Attachment[]): Promise<readonly PlacedAttachment[]> {
    // Compared as a case-folding file system would, so that no name hides another.
    const taken = new Set([OUTPUT])
    const placed: PlacedAttachment[] = []
    for (const { name: wanted, mimeType, content } of attachments) {
      const name = freeName(wanted, taken)
      taken.add(name.toLowerCase())
      const target = procPath(this.#job, name)
      if ('bytes' in content) {
        await writeFile(target, content.bytes, { flag: 'wx', mode: 0o600 })
      } else {
        const mode = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE
        await copyFile(procPath(content.fd), target, mode)
      }
      placed.push({ path: join(this.path, name), name, mimeType })
    }
    return placed
  }

  /** The files directly in `output`, by name. Each is closed when the next is asked for. */
  async *outputs(): AsyncGenerator<Output, void, undefined> {
    const output = await this.#openOutput()
    if (output === undefined) return
    try {
      const names = (await readdir(procPath(output))).sort()
      for (const name of names.slice(0, MAX_OUTPUTS)) {
        const file = await openOutputFile(output, name)
        try {
          yield file
        } finally {
          if ('fd' in file) closeSync(file.fd)
        }
      }
      if (names.length > MAX_OUTPUTS) {
        yield { name: '…', problem: `only ${MAX_OUTPUTS} files can be sent` }
      }
    } finally {
      closeSync(output)
    }
  }

  /** Gives the descriptors back and removes the folder. Rejects when something resists. */
  async remove(): Promise<void> {
    closeSync(this.#job)
    try {
      await rm(procPath(this.#jobs, this.#id), { recursive: true, force: true })
    } finally {
      closeSync(this.#jobs)
    }
  }

  /** Opened anew: a command may have replaced the folder by another one, but not by a link. */
  async #openOutput(): Promise<number | undefined> {
    try {
      return await openAt(this.#job, OUTPUT, DIRECTORY)
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
      throw error
    }
  }
}

/** A descriptor of `.atrium/jobs`; the caller closes it. */
async function openJobs(workspaceDirectory: string): Promise<number> {
  // The root itself may be a link that the operator chose.
  const root = await open(workspaceDirectory, DIRECTORY)
  let held: number | undefined
  try {
    for (const segment of JOBS_PATH) {
      const parent = held ?? root.fd
      await makeDirectory(procPath(parent, segment))
      const next = await openAt(parent, segment, DIRECTORY)
      if (held !== undefined) closeSync(held)
      held = next
    }
  } catch (error) {
    if (held !== undefined) closeSync(held)
    throw error
  } finally {
    await root.close()
  }
  if (held === undefined) throw new Error('no job folder')
  return held
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (!hasErrorCode(error, 'EEXIST')) throw error
  }
}

/** One that cannot be opened is no reason to lose the others, and the text with them. */
async function openOutputFile(directory: number, name: string): Promise<Output> {
  let named: number | undefined
  try {
    named = await openAt(directory, name, O_PATH)
    const stat = statOf(named)
    // A second name may be somebody else's file: the credentials lie on the same file system.
    if (!stat.isFile() || stat.nlink > 1n) return { name, problem: 'not a regular file' }
    const fd = await reopen(named, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    return { name, fd }
  } catch (error) {
    const code = errorCodeOf(error)
    if (code === undefined) throw error
    // A name that is not UTF-8 leads nowhere as well: it cannot be said in a path.
    return { name, problem: `cannot be opened (${code})` }
  } finally {
    if (named !== undefined) closeSync(named)
  }
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted.toLowerCase())) return wanted
  const dot = wanted.lastIndexOf('.')
  const [stem, extension] = dot > 0 ? [wanted.slice(0, dot), wanted.slice(dot)] : [wanted, '']
  for (let number = 2; ; number += 1) {
    const candidate = `${stem}-${number}${extension}`
    if (!taken.has(candidate.toLowerCase())) return candidate
  }
}
