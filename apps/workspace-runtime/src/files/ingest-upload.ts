/** @module POST /internal/chat/uploads/ingest: a form's files into the upload folder (contract/runtime 2.2). */
import type { IncomingMessage } from 'node:http'
import { AppError } from '@atrium/http-kit/app-error'
import { FILES_FIELD, type StoredFile } from '@atrium/runtime-contract/file-transfer'
import type { FilePlane, UploadLimits } from './file-plane.ts'
import { boundaryOf, type PartHead } from './multipart-head.ts'
import { type PartSink, readMultipart } from './read-multipart.ts'
import type { UploadBatch } from './upload-batch.ts'

export type Upload = {
  readonly incoming: IncomingMessage
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal
}

const MIB = 1024 ** 2
/**
 * Delimiters, part headers and plain fields beside the files of a body that declared no length;
 * the file bytes themselves are held to the limit exactly.
 */
const MAX_FRAMING_BYTES = MIB
const MAX_SHOWN_NAME_LENGTH = 200

/**
 * Stores every file of the form, or none. Throws the contract's failures in its order:
 * `declared_length_exceeds_total`, `multipart_malformed`, `files_field_missing`,
 * `uploads_dir_failed`, `file_limit_exceeded`, `total_limit_exceeded`, `upload_collision`,
 * `upload_write_failed`; and `insufficient_storage`, `upload_stalled`.
 */
export async function ingestUpload(plane: FilePlane, upload: Upload): Promise<StoredFile[]> {
  const { incoming, signal } = upload
  const { limits } = plane
  refuseDeclaredLength(incoming.headers['content-length'], limits)
  const boundary = boundaryOf(incoming.headers['content-type'])
  if (boundary === undefined) throw new AppError('multipart_malformed')
  const form = new ReceivedForm(plane)
  try {
    await readMultipart(incoming, {
      boundary,
      signal,
      maxFiles: limits.maxFiles,
      maxBodyBytes: limits.maxRequestBytes + MAX_FRAMING_BYTES,
      idleTimeoutMs: plane.idleTimeoutMs,
      bodyTooLarge: () => totalLimitExceeded(limits),
      openSink: (head) => form.openSink(head),
    })
    return await form.commit(signal)
  } finally {
    await form.dispose()
  }
}

class ReceivedForm {
  readonly #plane: FilePlane
  #batch: Promise<UploadBatch> | undefined
  #totalBytes = 0

  constructor(plane: FilePlane) {
    this.#plane = plane
  }

  async openSink(head: PartHead): Promise<PartSink | undefined> {
    // Other fields are ignored, but their bytes count (contract/runtime 2.1).
    if (head.field !== FILES_FIELD) return undefined
    const name = head.fileName ?? ''
    this.#batch ??= this.#plane.uploads.begin()
    const batch = await this.#batch
    const file = await batch.add({ name, mimeType: head.contentType })
    return {
      append: (chunk) => {
        this.#refuseExcess(name, { fileBytes: file.size + chunk.length, addedBytes: chunk.length })
        return file.append(chunk)
      },
      end: async () => undefined,
    }
  }

  async commit(signal: AbortSignal): Promise<StoredFile[]> {
    const batch = await this.#batch
    if (batch === undefined) throw new AppError('files_field_missing')
    // Who is gone already gets nothing stored; from here on it is.
    signal.throwIfAborted()
    return batch.commit()
  }

  async dispose(): Promise<void> {
    const [outcome] = await Promise.allSettled([this.#batch])
    if (outcome.status === 'fulfilled') await outcome.value?.dispose()
  }

  #refuseExcess(name: string, bytes: { fileBytes: number; addedBytes: number }): void {
    const { limits } = this.#plane
    if (bytes.fileBytes > limits.maxFileBytes) throw fileLimitExceeded(name, limits)
    this.#totalBytes += bytes.addedBytes
    if (this.#totalBytes > limits.maxRequestBytes) throw totalLimitExceeded(limits)
  }
}

function refuseDeclaredLength(declared: string | undefined, limits: UploadLimits): void {
  // Not a number means no early check (contract/runtime 2.1); Node has refused what is no length.
  if (declared === undefined || !(Number(declared) > limits.maxRequestBytes)) return
  throw new AppError('declared_length_exceeds_total', {
    message: `request body exceeds total limit (${megabytes(limits.maxRequestBytes)})`,
  })
}

function totalLimitExceeded(limits: UploadLimits): AppError {
  return new AppError('total_limit_exceeded', {
    message: `total request body exceeds limit (${megabytes(limits.maxRequestBytes)})`,
  })
}

function fileLimitExceeded(name: string, limits: UploadLimits): AppError {
  return new AppError('file_limit_exceeded', {
    message: `${shownName(name)} exceeds per-file limit (${megabytes(limits.maxFileBytes)})`,
  })
}

/** The contract's unit: whole MiB, called MB. */
function megabytes(bytes: number): string {
  return `${Math.floor(bytes / MIB)} MB`
}

/** The client's own name for its file, on one line and not endless. */
function shownName(name: string): string {
  const line = name.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '')
  return [...line].slice(0, MAX_SHOWN_NAME_LENGTH).join('') || 'file'
}
