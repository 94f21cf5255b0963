/** @module Files that become visible together or not at all (design/path-safety 1b). */
import { closeSync } from 'node:fs'
import type { Ids } from '@atrium/http-kit/clock'
import { passiveTypeFor } from '@atrium/http-kit/file-response'
import { safeFileName, storedName } from '@atrium/path-safety/file-name'
import { uploadRecordName, uploadTemporaryName } from '@atrium/path-safety/workspace-path'
import {
  type StoredFile,
  UPLOADS_DIR,
  WORKSPACE_URI_SCHEME,
} from '@atrium/runtime-contract/file-transfer'
import { type FinishedFile, publishBatch } from './publish-batch.ts'
import { storageFailure } from './storage-failure.ts'
import { TemporaryFile } from './temporary-file.ts'

const TEMPORARY_ID_BYTES = 12
const STORED_ID_BYTES = 16

export type FileDescription = {
  /** As somebody else called it; stored and shown under its safe form. */
  readonly name: string
  /** As it was declared; guessed from the name otherwise. */
  readonly mimeType: string | undefined
}

type Entry = { readonly description: FileDescription; readonly file: TemporaryFile }
/** Without a file while that is being made. */
type Place = { readonly description: FileDescription; file?: TemporaryFile }

export type UploadBatchDeps = {
  /** The folder; closed by `dispose`. */
  readonly directory: number
  /** Whether the folder is where its path on the wire says that it is. */
  readonly isInPlace: () => boolean
  readonly ids: Ids
  readonly isFsyncOn: boolean
  readonly live: Set<string>
  readonly onLeftover: (error: unknown) => void
}

export class UploadBatch {
  readonly #deps: UploadBatchDeps
  readonly #places: Place[] = []
  #isDisposed = false

  constructor(deps: UploadBatchDeps) {
    this.#deps = deps
  }

  /** A new hidden file; its place in the answer is the order of these calls. */
  async add(description: FileDescription): Promise<TemporaryFile> {
    const { directory, ids, live } = this.#deps
    const name = uploadTemporaryName(ids.hex(TEMPORARY_ID_BYTES))
    live.add(name)
    // Taken before anything is waited for: files of one form are made at the same time.
    const place: Place = { description }
    this.#places.push(place)
    try {
      place.file = await TemporaryFile.create(directory, name)
      return place.file
    } catch (error) {
      live.delete(name)
      throw storageFailure(error)
    }
  }

  /**
   * Publishes every file, in order; no `add` may be under way. Throws `insufficient_storage`,
   * `upload_write_failed` or `upload_collision`; then none of them is there.
   */
  async commit(): Promise<StoredFile[]> {
    const { ids, live } = this.#deps
    const entries = this.#entries()
    const recordName = uploadRecordName(ids.hex(TEMPORARY_ID_BYTES))
    live.add(recordName)
    try {
      const digests: string[] = []
      for (const { file } of entries) digests.push(await file.finish(this.#deps))
      const names = await publishBatch(
        { ...this.#deps, recordName },
        entries.map((entry) => this.#finished(entry)),
      )
      return entries.map((entry, index) =>
        storedFile(entry, names[index] ?? '', digests[index] ?? ''),
      )
    } catch (error) {
      throw storageFailure(error)
    } finally {
      live.delete(recordName)
    }
  }

  /** Removes every hidden name and gives all descriptors back. Idempotent, never throws. */
  async dispose(): Promise<void> {
    if (this.#isDisposed) return
    this.#isDisposed = true
    const { live, onLeftover, directory } = this.#deps
    for (const { file } of this.#entries()) {
      try {
        await file.dispose()
      } catch (error) {
        onLeftover(error)
      }
      live.delete(file.name)
    }
    closeSync(directory)
  }

  #entries(): Entry[] {
    return this.#places.flatMap(({ description, file }) =>
      file === undefined ? [] : [{ description, file }],
    )
  }

  #finished({ description, file }: Entry): FinishedFile {
    const safeName = safeFileName(description.name)
    const newName = (): string => storedName(this.#deps.ids.hex(STORED_ID_BYTES), safeName)
    return { fd: file.fd, temporaryName: file.name, newName }
  }
}

function storedFile({ description, file }: Entry, name: string, sha256: string): StoredFile {
  const safeName = safeFileName(description.name)
  return {
    uri: `${WORKSPACE_URI_SCHEME}${UPLOADS_DIR}/${name}`,
    name: safeName,
    mimeType: description.mimeType ?? guessedType(safeName),
    size: file.size,
    sha256,
  }
}

/** Without parameters: whose encoding it is, nobody said. */
function guessedType(name: string): string {
  return passiveTypeFor(name)?.split(';', 1)[0] ?? ''
}
