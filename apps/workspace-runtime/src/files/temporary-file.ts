/** @module A file that is being received: hidden, private, written in batches, hashed on the way. */
import { createHash } from 'node:crypto'
import { closeSync, fchmod, fsync, writev } from 'node:fs'
import { promisify } from 'node:util'
import { releaseChunk } from '@atrium/http-kit/release-chunk'
import { createAt, removeIfThere } from './descriptor.ts'
import { storageFailure } from './storage-failure.ts'

const writeAll = promisify(writev)
const syncFile = promisify(fsync)
const changeMode = promisify(fchmod)

/** Smaller writes to disk cost throughput (design/performance 2). */
const BATCH_BYTES = 512 * 1024
/** Many tiny pieces weigh more than their bytes. */
const BATCH_PIECES = 256
/** Readable by the group of the agent, never executable, whatever the umask. */
const PUBLISHED_MODE = 0o640

export class TemporaryFile {
  readonly name: string
  readonly fd: number
  readonly #directory: number
  readonly #hash = createHash('sha256')
  #pieces: Buffer[] = []
  #pendingBytes = 0
  #writing: Promise<void> | undefined
  #size = 0
  #isOpen = true

  private constructor(directory: number, name: string, fd: number) {
    this.#directory = directory
    this.name = name
    this.fd = fd
  }

  /** Creates `name` in the directory, which stays the caller's. Rejects with the system's error. */
  static async create(directory: number, name: string): Promise<TemporaryFile> {
    return new TemporaryFile(directory, name, await createAt(directory, name))
  }

  /** Bytes appended so far. */
  get size(): number {
    return this.#size
  }

  /**
   * Takes a piece for good: its memory is given back once it is written. Returns a promise when a
   * whole batch waits behind the one being written: the caller appends no more until it is settled.
   * At most two batches are held. It rejects, as `finish` does, with `insufficient_storage` or
   * `upload_write_failed`.
   */
  append(piece: Buffer): Promise<void> | undefined {
    this.#hash.update(piece)
    this.#size += piece.length
    this.#pieces.push(piece)
    this.#pendingBytes += piece.length
    if (this.#pendingBytes < BATCH_BYTES && this.#pieces.length < BATCH_PIECES) return undefined
    if (this.#writing === undefined) {
      this.#writeBatch()
      return undefined
    }
    return this.#writing.then(() => this.#writeBatch())
  }

  /**
   * Writes what is left, makes it durable when asked to, gives the file its final mode. Returns
   * the SHA-256 in lower-case hex.
   */
  async finish({ isFsyncOn }: { readonly isFsyncOn: boolean }): Promise<string> {
    do {
      await this.#writing
      this.#writeBatch()
    } while (this.#writing !== undefined)
    try {
      await changeMode(this.fd, PUBLISHED_MODE)
      // Delayed allocation: only now a full disk is sure to have said so.
      if (isFsyncOn) await syncFile(this.fd)
    } catch (error) {
      throw storageFailure(error)
    }
    return this.#hash.digest('hex')
  }

  /**
   * Closes the descriptor and removes the name when it is still there; what was appended and not
   * yet handed to the kernel is dropped. Idempotent.
   */
  async dispose(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    // The number must not be given to somebody else while the kernel still writes to it. A batch
    // that waits behind this one never begins: it would begin between here and the closing.
    await Promise.allSettled([this.#writing])
    closeSync(this.fd)
    await removeIfThere(this.#directory, this.name)
  }

  /** Only when no other write is on its way: two without a position would be in no order. */
  #writeBatch(): void {
    if (!this.#isOpen || this.#pendingBytes === 0) return
    const batch = this.#pieces
    this.#pieces = []
    this.#pendingBytes = 0
    const writing = this.#write(batch)
    this.#writing = writing
    // Whoever appends or finishes next is told; until then it is not unhandled.
    writing.then(
      () => {
        if (this.#writing === writing) this.#writing = undefined
      },
      () => undefined,
    )
  }

  async #write(batch: Buffer[]): Promise<void> {
    let rest = batch
    try {
      while (rest.length > 0) {
        const { bytesWritten } = await writeAll(this.fd, rest)
        rest = after(rest, bytesWritten)
      }
      // Otherwise a full collection for every 40 MiB: more than hashing and writing together.
      for (const piece of batch) releaseChunk(piece)
    } catch (error) {
      throw storageFailure(error)
    }
  }
}

/** What a short write left over (a full disk takes what fits and refuses the next call). */
function after(pieces: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes
  const rest: Buffer[] = []
  for (const piece of pieces) {
    if (skip >= piece.length) skip -= piece.length
    else {
      rest.push(piece.subarray(skip))
      skip = 0
    }
  }
  return rest
}
