/** @module A file that an agent made, into the upload folder, so that it can be referred to. */
import { read } from 'node:fs'
import { promisify } from 'node:util'
import { AppError } from '@atrium/http-kit/app-error'
import type { StoredFile } from '@atrium/runtime-contract/file-transfer'
import { statOf } from './descriptor.ts'
import type { OpenedFile } from './open-contained-file.ts'
import type { FileDescription } from './upload-batch.ts'
import type { UploadFolder } from './upload-folder.ts'

const readInto = promisify(read)

const COPY_BYTES = 512 * 1024

/**
 * Copies an opened file into the folder under a fresh name and describes it as an upload. A copy,
 * never a link: what was handed over must not change with what the agent does to its own file. Not
 * more than was there when it was asked for: something may still be writing, and never stop.
 * Throws as `UploadBatch.commit` does, or the signal's reason. Leaves the source open.
 */
export async function storeOpenedFile(
  uploads: UploadFolder,
  source: Pick<OpenedFile, 'fd'>,
  options: { readonly description: FileDescription; readonly signal?: AbortSignal },
): Promise<StoredFile> {
  const size = Number(statOf(source.fd).size)
  const batch = await uploads.begin()
  try {
    const target = await batch.add(options.description)
    for (;;) {
      options.signal?.throwIfAborted()
      if (target.size >= size) break
      // A fresh buffer each time: `append` keeps the piece until it is written.
      const buffer = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, size - target.size))
      const { bytesRead } = await readInto(source.fd, buffer, 0, buffer.length, target.size)
      if (bytesRead === 0) break
      await target.append(buffer.subarray(0, bytesRead))
    }
    const [stored] = await batch.commit()
    if (stored === undefined) throw new AppError('internal')
    return stored
  } finally {
    await batch.dispose()
  }
}
