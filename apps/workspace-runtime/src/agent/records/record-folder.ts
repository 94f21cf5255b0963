/**
 * @module A folder of small records, one file each, that survive the process (docs/adr/0039). A record
 * is replaced as a whole; one that cannot be read is set aside and said.
 */
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Ids } from '@atrium/http-kit/clock'
import { errorCodeOf, hasErrorCode } from '@atrium/http-kit/error-code'
import type { Logger } from 'pino'
import { DirectorySync } from './directory-sync.ts'

const SUFFIX = '.json'
const TEMPORARY_SUFFIX = '.part'
const BROKEN_SUFFIX = '.broken'
/** Names come from the disk, to which the agent can write: nothing else is looked at, or written. */
export const RECORD_NAME = /^[A-Za-z0-9_-]{1,64}$/
/** The agent could leave any number of unreadable records. */
const MAX_BROKEN = 16
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

export type RecordFolderDeps = {
  readonly directory: string
  readonly maxRecordBytes: number
  /** How many files are looked at when the folder is opened. */
  readonly maxRecords: number
  readonly isFsyncOn: boolean
  readonly log: Logger
  readonly ids: Pick<Ids, 'hex'>
}

export type StoredRecord = { readonly name: string; readonly text: string; readonly bytes: number }

export class RecordFolder {
  readonly #deps: RecordFolderDeps
  readonly #sync: DirectorySync
  #isUsable = false

  constructor(deps: RecordFolderDeps) {
    this.#deps = deps
    this.#sync = new DirectorySync(deps.directory)
  }

  /** Whether records are kept at all: not where the folder cannot be written to. */
  get isUsable(): boolean {
    return this.#isUsable
  }

  /**
   * Makes the folder, removes what a crash left half written and yields every record that can be
   * read. Never throws: a folder that cannot be used is said, and `isUsable` stays false.
   */
  async *open(): AsyncGenerator<StoredRecord, void, undefined> {
    let names: readonly string[]
    try {
      await mkdir(this.#deps.directory, { recursive: true, mode: 0o700 })
      names = await readdir(this.#deps.directory)
      await this.#probe()
    } catch (error) {
      this.#deps.log.error({ reason: errorCodeOf(error) }, 'records.folder_unusable')
      return
    }
    this.#isUsable = true
    await this.#tidy(names)
    const records = names.flatMap(recordNameOf)
    for (const name of records.slice(0, this.#deps.maxRecords)) {
      const text = await this.read(name)
      if (text === undefined) await this.setAside(name, 'unreadable')
      else yield { name, text, bytes: Buffer.byteLength(text) }
    }
    for (const name of records.slice(this.#deps.maxRecords)) await this.remove(name)
  }

  /**
   * Replaces the record. `isDurable`: it is on the disk when this resolves; otherwise only a crash of
   * the machine, not of the process, may lose it. Throws the system's error; the old one stays then.
   */
  async write(name: string, text: string, isDurable: boolean): Promise<void> {
    const target = this.#pathOf(name)
    const temporary = `${target}.${this.#deps.ids.hex(6)}${TEMPORARY_SUFFIX}`
    const mustSync = isDurable && this.#deps.isFsyncOn
    try {
      const file = await open(temporary, 'wx', 0o600)
      try {
        await file.writeFile(text)
        if (mustSync) await file.datasync()
      } finally {
        await file.close()
      }
      await rename(temporary, target)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    if (mustSync) await this.#sync.run()
  }

  /** The record's text; undefined when there is none, or what is there is no record. */
  async read(name: string): Promise<string | undefined> {
    try {
      const file = await open(this.#pathOf(name), READ_FLAGS)
      try {
        const stat = await file.stat()
        if (!stat.isFile() || stat.size > this.#deps.maxRecordBytes) return undefined
        return await file.readFile('utf8')
      } finally {
        await file.close()
      }
    } catch (error) {
      if (errorCodeOf(error) === undefined) throw error
      return undefined
    }
  }

  /** Best effort: what stays is judged again when the folder is opened the next time. */
  async remove(name: string): Promise<void> {
    try {
      await rm(this.#pathOf(name), { force: true, recursive: true })
    } catch (error) {
      this.#deps.log.warn({ record: name, reason: errorCodeOf(error) }, 'records.not_removed')
    }
  }

  /** Takes a record out of use without losing it, for whoever wants to know why. */
  async setAside(name: string, reason: string): Promise<void> {
    this.#deps.log.error({ record: name, reason }, 'records.set_aside')
    try {
      await rename(this.#pathOf(name), `${this.#pathOf(name)}${BROKEN_SUFFIX}`)
    } catch (error) {
      this.#deps.log.warn({ record: name, reason: errorCodeOf(error) }, 'records.not_set_aside')
    }
  }

  /** Whether the folder can be written to is found out before anybody relies on it. */
  async #probe(): Promise<void> {
    const path = join(this.#deps.directory, `${this.#deps.ids.hex(6)}${TEMPORARY_SUFFIX}`)
    const file = await open(path, 'wx', 0o600)
    await file.close()
    await rm(path, { force: true })
  }

  async #tidy(names: readonly string[]): Promise<void> {
    const broken = names.filter((name) => name.endsWith(BROKEN_SUFFIX))
    const left = names.filter((name) => name.endsWith(TEMPORARY_SUFFIX))
    for (const name of [...left, ...broken.slice(MAX_BROKEN)]) {
      await rm(join(this.#deps.directory, name), { force: true, recursive: true }).catch(
        (error: unknown) => {
          if (!hasErrorCode(error, 'EACCES', 'EPERM', 'EBUSY')) throw error
          this.#deps.log.warn({ reason: errorCodeOf(error) }, 'records.not_removed')
        },
      )
    }
  }

  #pathOf(name: string): string {
    return join(this.#deps.directory, name + SUFFIX)
  }
}

function recordNameOf(file: string): string[] {
  const name = file.endsWith(SUFFIX) ? file.slice(0, -SUFFIX.length) : ''
  return RECORD_NAME.test(name) ? [name] : []
}
