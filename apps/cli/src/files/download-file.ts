/** @module Downloads one file of a workspace: resumable, verified, never half under its own name. */
import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { type Readable, Transform, type TransformCallback, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CliFailure, EXIT } from '../failure.ts'
import { transportFailure } from '../http/transport-failure.ts'
import { type Progress, startProgress } from '../terminal/progress.ts'
import { FileSink, writeFailure } from './file-sink.ts'
import type { FileSource, SourceContext } from './file-source.ts'
import { openPartialDownload, type PartialDownload } from './partial-download.ts'
import { type PublishMode, publishDownload } from './publish-download.ts'

const HASH_BUFFER_BYTES = 1024 * 1024
const PAUSE_BEFORE_RESUME_MS = 1_000

export type DownloadContext = SourceContext & {
  readonly pid: number
  readonly isAlive: (pid: number) => boolean
}

export type DownloadedFile = {
  readonly path: string
  readonly size: number
  readonly sha256: string
  /** Bytes that an earlier, broken run had already brought. */
  readonly resumedFromBytes: number
}

export type DownloadTarget = {
  readonly path: string
  readonly mode: PublishMode
  readonly label: string
}

/** Counts, hashes and shows the bytes that pass. */
class Meter extends Transform {
  bytes: number
  readonly hash: Hash
  readonly #progress: Progress

  constructor(progress: Progress, hash: Hash, startBytes: number) {
    super({ highWaterMark: HASH_BUFFER_BYTES })
    this.#progress = progress
    this.hash = hash
    this.bytes = startBytes
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.bytes += chunk.length
    this.hash.update(chunk)
    this.#progress.update(this.bytes)
    done(null, chunk)
  }
}

type Flow = {
  readonly body: Readable
  readonly meter: Meter
  readonly sink: Writable
  /** Whether the sink is ended too; standard output is not. */
  readonly endsSink: boolean
}

async function pump(context: DownloadContext, flow: Flow): Promise<void> {
  const { body, meter, sink, endsSink } = flow
  try {
    await pipeline(body, meter, sink, { signal: context.signal, end: endsSink })
  } catch (thrown) {
    throw transportFailure(thrown, context.client.origin, context.signal)
  }
}

function assertComplete(receivedBytes: number, totalBytes: number | undefined): void {
  if (totalBytes === undefined || receivedBytes === totalBytes) return
  throw new CliFailure(
    EXIT.unreachable,
    `the download ended after ${receivedBytes} of ${totalBytes} bytes`,
    { retryable: true },
  )
}

/**
 * Streams a file to `sink` (standard output), which stays open. Throws when it ends short: what has
 * been written by then cannot be taken back.
 */
export async function downloadToStream(
  context: DownloadContext,
  source: FileSource,
  sink: Writable,
): Promise<Omit<DownloadedFile, 'path'>> {
  const { body, totalBytes } = await source.open({ offsetBytes: 0, etag: undefined })
  const progress = startProgress(context.terminal, source.path, totalBytes)
  const meter = new Meter(progress, createHash('sha256'), 0)
  try {
    await pump(context, { body, meter, sink, endsSink: false })
  } finally {
    progress.stop()
  }
  assertComplete(meter.bytes, totalBytes)
  return { size: meter.bytes, sha256: meter.hash.digest('hex'), resumedFromBytes: 0 }
}

/**
 * Downloads into `<target>.part` and names it when every byte is there and on disk. A connection
 * that breaks is resumed as long as each attempt brings something; a part that remains is
 * continued by the next run. Throws like the parts it is made of.
 */
export async function downloadToFile(
  context: DownloadContext,
  source: FileSource,
  target: DownloadTarget,
): Promise<DownloadedFile> {
  let resumedFromBytes: number | undefined
  let reachedBytes = -1
  for (;;) {
    const part = await openPartialDownload(target.path, source, {
      pid: context.pid,
      isAlive: context.isAlive,
      force: target.mode === 'replace',
    })
    resumedFromBytes ??= part.offsetBytes
    try {
      const done = await receive(context, { source, part, label: target.label })
      const path = await publishDownload(part.partPath, target.path, target.mode)
      await part.discard()
      return { ...done, path, resumedFromBytes: Math.min(resumedFromBytes, done.startBytes) }
    } catch (thrown) {
      const { size } = await part.handle.stat()
      const isMoving = size > Math.max(reachedBytes, part.offsetBytes)
      if (size === 0 || !source.isContinuable) await part.discard()
      if (!isMoving || !mayGoOn(source, thrown)) throw thrown
      reachedBytes = size
      context.terminal.notice(`${thrown.message}; resuming at byte ${size}`)
    } finally {
      await part.handle.close()
    }
    await context.clock.sleep(PAUSE_BEFORE_RESUME_MS, context.signal)
  }
}

function mayGoOn(source: FileSource, thrown: unknown): thrown is CliFailure {
  const isBroken = thrown instanceof CliFailure && thrown.exitCode === EXIT.unreachable
  return isBroken && source.isContinuable
}

type Received = { readonly size: number; readonly sha256: string; readonly startBytes: number }

type Receiving = {
  readonly source: FileSource
  readonly part: PartialDownload
  readonly label: string
}

async function receive(
  context: DownloadContext,
  { source, part, label }: Receiving,
): Promise<Received> {
  const { startBytes, totalBytes, etag, body } = await source.open(part)
  await part.handle.truncate(startBytes)
  await part.remember(etag)
  const hash = createHash('sha256')
  await hashPrefix(part.handle, startBytes, hash)
  const progress = startProgress(context.terminal, label, totalBytes)
  const meter = new Meter(progress, hash, startBytes)
  try {
    const sink = new FileSink({ handle: part.handle, path: part.partPath }, startBytes)
    await pump(context, { body, meter, sink, endsSink: true })
  } finally {
    progress.stop()
  }
  assertComplete(meter.bytes, totalBytes)
  await part.handle.sync().catch((thrown: unknown) => {
    throw writeFailure(part.partPath, thrown)
  })
  return { size: meter.bytes, sha256: meter.hash.digest('hex'), startBytes }
}

async function hashPrefix(handle: FileHandle, lengthBytes: number, hash: Hash): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(HASH_BUFFER_BYTES, lengthBytes))
  let position = 0
  while (position < lengthBytes) {
    const wanted = Math.min(buffer.length, lengthBytes - position)
    const { bytesRead } = await handle.read(buffer, 0, wanted, position)
    if (bytesRead === 0) throw new CliFailure(EXIT.failed, 'the unfinished download was changed')
    hash.update(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
}
