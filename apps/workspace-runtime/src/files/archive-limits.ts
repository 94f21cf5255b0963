/** @module How large an archive may become, and how many are made at once. */
import { AppError } from '@atrium/http-kit/app-error'

export type ArchiveLimits = {
  /** Folders and files of one archive; as many names again may be left out. */
  readonly maxEntries: number
  /** Bytes of all files together. */
  readonly maxBytes: number
  /** Folders one in another, the archive's own being the first. */
  readonly maxDepth: number
  /** Archives at the same time. */
  readonly maxConcurrent: number
}

/** 5 GiB of work, or a large checkout with its packages, are well within these. */
export const DEFAULT_ARCHIVE_LIMITS: ArchiveLimits = {
  maxEntries: 1_000_000,
  maxBytes: 68_719_476_736,
  maxDepth: 100,
  maxConcurrent: 4,
}

export type ArchiveLimit = 'entries' | 'entries left out' | 'bytes' | 'depth' | 'path' | 'directory'

/** A limit was met: `archive_too_large` to the client, and to the log which one. */
export class ArchiveLimitError extends AppError {
  constructor(limit: ArchiveLimit) {
    super('archive_too_large', { internal: `the archive's limit of ${limit} was met` })
  }
}

/** Something kept the archive from being whole; `reason` is for the log. */
export function archiveFailure(reason: string, cause?: unknown): AppError {
  return new AppError('archive_failed', {
    internal: reason,
    ...(cause === undefined ? {} : { cause }),
  })
}

/** Places for archives that are being made. */
export class ArchivePlaces {
  readonly #max: number
  #taken = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Throws `archive_busy`, with a time to try again, when there is none. */
  take(): void {
    if (this.#taken >= this.#max) throw new AppError('archive_busy')
    this.#taken += 1
  }

  /** Once for each `take` that did not throw. */
  give(): void {
    this.#taken -= 1
  }
}
