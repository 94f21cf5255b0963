/**
 * @module One credential of the workspace in one file (contract/runtime 1.1): 0600, replaced as a
 * whole, and read again when somebody else replaced it.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Clock, Ids } from '@atrium/http-kit/clock'

const MAX_BYTES = 64n * 1024n
/**
 * Many kernels and file systems tell the time of a change by the tick of a coarse clock (4 to 10 ms,
 * a second over NFS): of two changes within one tick the second does not show.
 */
const COARSEST_TICK_MS = 2_000

export type CredentialFileDeps = { readonly ids: Ids; readonly clock: Pick<Clock, 'now'> }

type Look = {
  readonly fingerprint: string
  readonly changedAtMs: number
  readonly isPrivate: boolean
}
type Cached = { readonly fingerprint: string; readonly value: string | undefined }

/** `.auth_token` or `.platform_inbound_secret`. Values never reach a log or an error text. */
export class CredentialFile {
  readonly #path: string
  readonly #deps: CredentialFileDeps
  #cached: Cached | undefined

  constructor(path: string, deps: CredentialFileDeps) {
    this.#path = path
    this.#deps = deps
  }

  /**
   * The credential, trimmed; undefined when the file is missing, empty or unreadable. One `stat`
   * per call, a read only when the file is another one or was written since. Never throws.
   */
  current(): string | undefined {
    const before = this.#look()
    if (before === undefined) return undefined
    if (this.#cached?.fingerprint === before.fingerprint) return this.#cached.value
    const startedAtMs = this.#deps.clock.now().getTime()
    const value = this.#read()
    const isSettled = startedAtMs - before.changedAtMs > COARSEST_TICK_MS
    // Replaced between the two looks: what was read may belong to either file, so it is not kept.
    if (isSettled && this.#look()?.fingerprint === before.fingerprint) {
      this.#cached = { fingerprint: before.fingerprint, value }
    }
    return value
  }

  /**
   * Replaces the credential; the empty value changes nothing, nor does the same one unless others can
   * read the file. Parent folders are created. After a crash either the old or the new value is
   * there, whole. Throws the file system's error.
   */
  save(value: string): void {
    const trimmed = value.trim()
    if (trimmed === '' || (trimmed === this.current() && this.#look()?.isPrivate === true)) return
    const directory = dirname(this.#path)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    // Starts with the credential's name: whatever hides the one hides the other (path-safety).
    const temporary = join(directory, `${basename(this.#path)}.${this.#deps.ids.hex(12)}.tmp`)
    try {
      writeDurably(temporary, trimmed)
      renameSync(temporary, this.#path)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
    syncDirectory(directory)
    this.#cached = undefined
  }

  /** Removes it; nothing there is success. Throws the file system's error. */
  remove(): void {
    rmSync(this.#path, { force: true })
    this.#cached = undefined
  }

  #look(): Look | undefined {
    try {
      const stat = statSync(this.#path, { bigint: true, throwIfNoEntry: false })
      // A FIFO would hold up the whole process, and no credential is that long.
      if (stat === undefined || !stat.isFile() || stat.size > MAX_BYTES) return undefined
      return {
        fingerprint: `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`,
        changedAtMs: Number(stat.ctimeMs),
        isPrivate: (stat.mode & 0o077n) === 0n,
      }
    } catch {
      // Unreadable is absent (contract/runtime 1.1): every check that needs the value fails closed.
      return undefined
    }
  }

  #read(): string | undefined {
    try {
      const value = readFileSync(this.#path, 'utf8').trim()
      return value === '' ? undefined : value
    } catch {
      // As above.
      return undefined
    }
  }
}

function writeDurably(path: string, value: string): void {
  const fd = openSync(path, 'wx', 0o600)
  try {
    writeSync(fd, value)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Without it a crash can bring the old name back, or none (H34). */
function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
