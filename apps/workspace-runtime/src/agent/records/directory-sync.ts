/** @module Writes a folder's names to the disk, once for everybody who waits at the same time. */
import { open } from 'node:fs/promises'

/**
 * Without it a crash of the machine can bring an old name back, or none (H34). A name that is there
 * when a sync begins is covered by it; who comes while one runs waits for the next.
 */
export class DirectorySync {
  readonly #path: string
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** Throws the system's error. */
  run(): Promise<void> {
    if (this.#running === undefined) return this.#begin()
    this.#next ??= this.#afterRunning(this.#running)
    return this.#next
  }

  async #afterRunning(running: Promise<void>): Promise<void> {
    // Its failure is its callers'; this one is a try of its own.
    await running.catch(() => undefined)
    this.#next = undefined
    await this.#begin()
  }

  #begin(): Promise<void> {
    const work = this.#sync()
    this.#running = work
    const done = (): void => {
      if (this.#running === work) this.#running = undefined
    }
    work.then(done, done)
    return work
  }

  async #sync(): Promise<void> {
    const directory = await open(this.#path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  }
}
