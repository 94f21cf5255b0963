/** @module Removes what a killed process left half received or half published (design/path-safety 1b). */
import { closeSync, lstatSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { geteuid } from 'node:process'
import type { Clock } from '@atrium/http-kit/clock'
import { UPLOAD_RECORD_NAME, UPLOAD_TEMPORARY_NAME } from '@atrium/path-safety/workspace-path'
import type { UploadSweepReport } from '@atrium/runtime-contract/registration'
import type { Logger } from 'pino'
import { undoBatch } from './batch-record.ts'
import { procPath, removeIfThere } from './descriptor.ts'
import type { UploadFolder } from './upload-folder.ts'

const HOUR_MS = 3_600_000
/** Long after any transfer that still moves: its file is written to. */
const STALE_AFTER_MS = HOUR_MS

/** What a pass did. */
export type UploadPass = {
  readonly removed: number
  /** Leftovers that stay, or 1 for a pass that could not look. */
  readonly failed: number
}

export type UploadSweepDeps = {
  readonly uploads: UploadFolder
  readonly clock: Clock
  readonly log: Logger
}

/** At start and hourly; a pass that fails is logged, and the next one comes all the same (H35). */
export class UploadSweep {
  readonly name = 'upload-sweep'
  readonly everyMs = HOUR_MS
  readonly #deps: UploadSweepDeps
  readonly #stopped = new AbortController()
  #loop: Promise<void> | undefined
  #last: (UploadPass & { readonly endedAt: Date }) | undefined

  constructor(deps: UploadSweepDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#loop ??= this.#repeat()
  }

  /** Resolves when no pass is running any more. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#loop
  }

  /** The last pass, for the platform; undefined before the first. */
  report(): UploadSweepReport | undefined {
    if (this.#last === undefined) return undefined
    const { endedAt, removed, failed } = this.#last
    const ageMs = this.#deps.clock.now().getTime() - endedAt.getTime()
    return { seconds_ago: Math.max(0, Math.floor(ageMs / 1000)), removed, failed }
  }

  /** One pass. Throws `uploads_dir_failed`. */
  async run(signal: AbortSignal = this.#stopped.signal): Promise<UploadPass> {
    try {
      const pass = await this.#sweep(signal)
      this.#keep(pass)
      return pass
    } catch (error) {
      this.#keep({ removed: 0, failed: 1 })
      throw error
    }
  }

  #keep(pass: UploadPass): void {
    this.#last = { ...pass, endedAt: this.#deps.clock.now() }
  }

  async #sweep(signal: AbortSignal): Promise<UploadPass> {
    const directory = await this.#deps.uploads.openExisting()
    if (directory === undefined) return { removed: 0, failed: 0 }
    let removed = 0
    let failed = 0
    try {
      for (const name of await readdir(procPath(directory))) {
        if (signal.aborted) break
        const count = await this.#removeLeftover(directory, name)
        if (count === undefined) failed += 1
        else removed += count
      }
    } finally {
      closeSync(directory)
    }
    if (removed > 0) this.#deps.log.info({ removed }, 'upload.swept')
    return { removed, failed }
  }

  async #repeat(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      try {
        await this.run(signal)
      } catch (error) {
        this.#deps.log.warn({ err: error }, 'upload.sweep_failed')
      }
      await this.#pause(signal)
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.clock.sleep(this.everyMs, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  /** How many files went; undefined for one that stays, which is logged and does not keep the others. */
  async #removeLeftover(directory: number, name: string): Promise<number | undefined> {
    if (this.#deps.uploads.isLive(name)) return 0
    try {
      // However young: a process that still publishes notices that its record is gone.
      if (UPLOAD_RECORD_NAME.test(name)) return await undoBatch(directory, name)
      if (!this.#isStale(directory, name)) return 0
      return (await removeIfThere(directory, name)) ? 1 : 0
    } catch (error) {
      this.#deps.log.warn({ err: error, name }, 'upload.leftover_stays')
      return undefined
    }
  }

  /** Ours by name, kind, owner and age. */
  #isStale(directory: number, name: string): boolean {
    if (!UPLOAD_TEMPORARY_NAME.test(name)) return false
    const stat = lstatSync(procPath(directory, name), { throwIfNoEntry: false })
    if (stat === undefined || !stat.isFile() || stat.uid !== geteuid?.()) return false
    return this.#deps.clock.now().getTime() - stat.mtimeMs > STALE_AFTER_MS
  }
}
