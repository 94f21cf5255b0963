/**
 * @module A workspace's console on disk: `runtime.log` and three older ones, 10 MiB each.
 *
 * The output passes through the platform, one chunk at a time, instead of going to an inherited
 * descriptor: so the limit is hard (truncating a file that a flooding child appends to is a race
 * that fills the disk), nothing is lost when a file is full, the child cannot redirect it, and a
 * child that writes faster than the disk is slowed down by its own pipe.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { consoleFileNames, readConsoleTail } from './console-tail.ts'

const APPEND =
  constants.O_WRONLY |
  constants.O_CREAT |
  constants.O_APPEND |
  constants.O_NOFOLLOW |
  constants.O_NONBLOCK

export type ConsoleLogOptions = {
  readonly directory: string
  readonly maxFileBytes: number
  /** Called once, with the first failure to write. */
  readonly onWriteFailure: (error: unknown) => void
}

export class ConsoleLog {
  readonly #options: ConsoleLogOptions
  #file: FileHandle | undefined
  #size = 0
  #hasFailed = false
  /** Appends, rotations and reads take turns: both streams write to one file. */
  #queue: Promise<void> = Promise.resolve()

  constructor(options: ConsoleLogOptions) {
    this.#options = options
  }

  /** Copies `stream` to its end. Never rejects: the end of a console is not the box's failure. */
  async pump(stream: Readable): Promise<void> {
    try {
      for await (const chunk of stream) {
        if (chunk instanceof Buffer) await this.#inTurn(() => this.#append(chunk))
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  /** The last `maxBytes`, not cut in two by a rotation. */
  async tail(maxBytes: number): Promise<string> {
    return this.#inTurn(() => readConsoleTail(this.#options.directory, maxBytes))
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#file?.close()
      this.#file = undefined
    })
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work)
    this.#queue = result.then(ignore, ignore)
    return result
  }

  async #append(chunk: Buffer): Promise<void> {
    try {
      // The stream hands over all that it has buffered, which may be more than the file has room for.
      for (let rest = chunk; rest.length > 0; ) rest = await this.#appendSome(rest)
    } catch (error) {
      // Dropped on purpose: a full disk must neither end the platform nor block the workspace, and
      // the operator is told once.
      this.#fail(error)
    }
  }

  /** Fills the current file, or begins a new one when it is full; returns what is left over. */
  async #appendSome(bytes: Buffer): Promise<Buffer> {
    const { maxFileBytes } = this.#options
    let file = this.#file ?? (await this.#openCurrent())
    if (this.#size >= maxFileBytes) {
      await this.#rotate()
      file = await this.#openCurrent()
    }
    const piece = bytes.subarray(0, maxFileBytes - this.#size)
    await file.appendFile(piece)
    this.#size += piece.length
    return bytes.subarray(piece.length)
  }

  async #openCurrent(): Promise<FileHandle> {
    const [current] = this.#paths()
    const file = await open(current, APPEND, 0o600)
    const stat = await file.stat()
    if (!stat.isFile()) {
      await file.close()
      throw new Error('the console log is not a regular file')
    }
    this.#file = file
    this.#size = stat.size
    return file
  }

  async #rotate(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
    this.#size = 0
    const paths = this.#paths()
    for (let index = paths.length - 1; index > 0; index -= 1) {
      const [from, to] = [paths[index - 1], paths[index]]
      if (from !== undefined && to !== undefined) await renameIfPresent(from, to)
    }
  }

  #paths(): readonly [string, ...string[]] {
    const [current, ...older] = consoleFileNames
    const inside = (name: string): string => join(this.#options.directory, name)
    return [inside(current), ...older.map(inside)]
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#options.onWriteFailure(error)
  }
}

function ignore(): undefined {
  return undefined
}

async function renameIfPresent(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) throw error
  }
}
