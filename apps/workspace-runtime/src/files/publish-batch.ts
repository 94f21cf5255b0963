/** @module Gives the finished files of one request their names: all of them, or none. */
import { fsync } from 'node:fs'
import { promisify } from 'node:util'
import { AppError } from '@atrium/http-kit/app-error'
import { BatchRecord } from './batch-record.ts'
import { removeIfThere } from './descriptor.ts'
import { publishName } from './publish-name.ts'

const syncFile = promisify(fsync)

/** With 128 random bits the first is enough; a second look costs nothing. */
const MAX_NAMES = 3

export type FinishedFile = {
  readonly fd: number
  /** The hidden name that it has. */
  readonly temporaryName: string
  /** A name that it might get, another one each time. */
  readonly newName: () => string
}

export type BatchPlace = {
  readonly directory: number
  /** Whether the folder is where its path on the wire says that it is. */
  readonly isInPlace: () => boolean
  readonly isFsyncOn: boolean
  /** For the record of a batch with several files. */
  readonly recordName: string
  /** Called for what could not be removed; the sweep will. */
  readonly onLeftover: (error: unknown) => void
}

/**
 * Returns the names in the order of the files. Rejects with `upload_collision` or the system's
 * error, and then none of the names is there; after a crash the sweep sees to that.
 */
export async function publishBatch(
  place: BatchPlace,
  files: readonly FinishedFile[],
): Promise<readonly string[]> {
  return new Publication(place, files).run()
}

class Publication {
  readonly #place: BatchPlace
  readonly #files: readonly FinishedFile[]
  readonly #published: string[] = []
  #record: BatchRecord | undefined

  constructor(place: BatchPlace, files: readonly FinishedFile[]) {
    this.#place = place
    this.#files = files
  }

  async run(): Promise<readonly string[]> {
    try {
      await this.#publishAll()
    } catch (error) {
      // What cannot be withdrawn now is still in the record.
      if (await this.#withdraw()) await this.#discardRecord()
      throw error
    } finally {
      this.#record?.close()
    }
    return this.#published
  }

  async #publishAll(): Promise<void> {
    const { directory, isInPlace, isFsyncOn } = this.#place
    const planned = this.#files.map(({ fd, newName }) => ({ fd, finalName: newName() }))
    // A single name is given at once or not at all.
    if (planned.length > 1) {
      this.#record = await BatchRecord.create(this.#place)
      await this.#record.note(planned)
    }
    for (const [index, file] of this.#files.entries()) {
      this.#published.push(await this.#publish(file, planned[index]?.finalName ?? file.newName()))
    }
    // A folder that is held goes on taking files wherever it is moved to; the answer names a path.
    if (!isInPlace()) throw new Error('the upload folder was moved away')
    if (isFsyncOn) await syncFile(directory)
    await this.#record?.settle()
  }

  async #publish({ fd, temporaryName, newName }: FinishedFile, firstName: string): Promise<string> {
    const { directory } = this.#place
    let finalName = firstName
    for (let attempt = 0; attempt < MAX_NAMES; attempt += 1) {
      if (await publishName({ directory, temporaryName, fd, finalName })) return finalName
      finalName = newName()
      await this.#record?.note([{ fd, finalName }])
    }
    throw new AppError('upload_collision')
  }

  /** Whether every name is gone. */
  async #withdraw(): Promise<boolean> {
    let isComplete = true
    for (const name of this.#published) {
      try {
        await removeIfThere(this.#place.directory, name)
      } catch (error) {
        isComplete = false
        this.#place.onLeftover(error)
      }
    }
    return isComplete
  }

  async #discardRecord(): Promise<void> {
    try {
      await this.#record?.discard()
    } catch (error) {
      this.#place.onLeftover(error)
    }
  }
}
