/** @module Everything below `/internal` that lasts longer than a request, built once (H10). */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import { WorkQueue } from '../work-queue.ts'
import { type ArchiveLimits, ArchivePlaces, DEFAULT_ARCHIVE_LIMITS } from './archive-limits.ts'
import { BufferPool } from './buffer-pool.ts'
import { ContainedRoots, type RootDirectories } from './contained-roots.ts'
import { FolderListing } from './folder-listing.ts'
import { UploadFolder } from './upload-folder.ts'
import { UploadSweep } from './upload-sweep.job.ts'

/** Of a window of a MiB, an answer in JSON can be six, and what it is made of as much again. */
const PREVIEWS_AT_ONCE = 8

export type UploadLimits = {
  readonly maxFileBytes: number
  readonly maxRequestBytes: number
  readonly maxFiles: number
}

export type FilePlaneOptions = {
  /** Absolute directories behind the wire's roots; identity in a container. */
  readonly directories: RootDirectories
  /** Where `.auth_token` and `.platform_inbound_secret` are; the configs root when absent. */
  readonly credentialsDirectory?: string
  readonly limits: UploadLimits
  /** `DEFAULT_ARCHIVE_LIMITS` when absent. */
  readonly archiveLimits?: ArchiveLimits
  /** Whether a stored upload survives a power cut; off only to measure what that costs. */
  readonly isFsyncOn: boolean
  /** A transfer in which no byte moves for so long is broken off, in either direction. */
  readonly idleTimeoutMs: number
  readonly log: Logger
  readonly clock: Clock
  readonly ids: Ids
}

export type FilePlane = {
  readonly roots: ContainedRoots
  readonly listing: FolderListing
  readonly previews: WorkQueue
  readonly uploads: UploadFolder
  /** Not started: `main.ts` does, and stops it before `close`. */
  readonly sweep: UploadSweep
  readonly buffers: BufferPool
  readonly limits: UploadLimits
  readonly archives: { readonly limits: ArchiveLimits; readonly places: ArchivePlaces }
  readonly idleTimeoutMs: number
  /** Gives the pinned directories back; nothing may be in flight any more. */
  close(): void
}

/**
 * Pins the roots and builds what works on them. Throws when `/proc` is not mounted or a root is
 * not a directory: without them no answer could be trusted.
 */
export function openFilePlane(options: FilePlaneOptions): FilePlane {
  const { log, clock, ids, isFsyncOn, archiveLimits = DEFAULT_ARCHIVE_LIMITS } = options
  const roots = ContainedRoots.pin(
    options.directories,
    options.credentialsDirectory ?? options.directories.configs,
  )
  const uploads = new UploadFolder({
    roots,
    ids,
    isFsyncOn,
    onLeftover: (error) => log.warn({ err: error }, 'upload.leftover'),
  })
  const listing = new FolderListing({ clock, roots })
  return {
    roots,
    listing,
    previews: new WorkQueue({
      concurrency: PREVIEWS_AT_ONCE,
      maxWaiting: Number.POSITIVE_INFINITY,
    }),
    uploads,
    sweep: new UploadSweep({ uploads, clock, log }),
    buffers: new BufferPool(),
    limits: options.limits,
    archives: { limits: archiveLimits, places: new ArchivePlaces(archiveLimits.maxConcurrent) },
    idleTimeoutMs: options.idleTimeoutMs,
    close() {
      listing.close()
      roots.close()
    },
  }
}
