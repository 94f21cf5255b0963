/** @module Writes a stream into an open file at a position; the file stays open afterwards. */
import type { FileHandle } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { type CliFailure, reasonOf, usageFailure } from '../failure.ts'

const BATCH_BYTES = 1024 * 1024

/**
 * Node's own write stream over a FileHandle cannot be used for this: without `autoClose` it never
 * says that it is done, and with it the handle is gone before it can be flushed to disk.
 */
export class FileSink extends Writable {
  readonly #handle: FileHandle
  readonly #path: string
  #position: number

  /** `path` is what a failure calls the file. */
  constructor(file: { readonly handle: FileHandle; readonly path: string }, startBytes: number) {
    super({ highWaterMark: BATCH_BYTES })
    this.#handle = file.handle
    this.#path = file.path
    this.#position = startBytes
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#append([chunk]).then(
      () => done(),
      (thrown) => done(writeFailure(this.#path, thrown)),
    )
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#append(chunks.map(({ chunk }) => chunk)).then(
      () => done(),
      (thrown) => done(writeFailure(this.#path, thrown)),
    )
  }

  async #append(given: Buffer[]): Promise<void> {
    let rest = given.filter((buffer) => buffer.length > 0)
    while (rest.length > 0) {
      const { bytesWritten } = await this.#handle.writev(rest, this.#position)
      this.#position += bytesWritten
      rest = withoutFirst(rest, bytesWritten)
    }
  }
}

/** A local file that takes no more (exit 2): asking the platform once more would not help. */
export function writeFailure(path: string, thrown: unknown): CliFailure {
  return usageFailure(`cannot write ${path}: ${reasonOf(thrown)}`)
}

/** What remains of `buffers` after their first `count` bytes: a full disk writes less than asked. */
function withoutFirst(buffers: readonly Buffer[], count: number): Buffer[] {
  const rest: Buffer[] = []
  let skip = count
  for (const buffer of buffers) {
    if (skip < buffer.length) rest.push(buffer.subarray(skip))
    skip = Math.max(0, skip - buffer.length)
  }
  return rest
}
