/**
 * @module Stretches of the order of names in large folders, kept for a short while: a page behind
 * the one before is then not another scan of the whole folder (ADR-0042).
 */
import type { BigIntStats } from 'node:fs'
import type { Clock } from '@atrium/http-kit/clock'
import type { ByteName } from './descriptor.ts'
import type { NameScan } from './scan-names.ts'

/** How long names are good for somebody who reads on: what came meanwhile may be missing. */
export const WINDOW_TTL_MS = 30_000
const MAX_FOLDERS = 4
const MAX_WINDOWS_OF_FOLDER = 2
const MAX_WINDOW_BYTES = 4 * 1024 * 1024
/** What a string takes beside its bytes, roughly. */
const STRING_OVERHEAD = 24
/** Times of files are no finer than this on any system that is worth a thought. */
const CLOCK_GRAIN_MS = 1_000

/** There are others behind the last of its names: where there are none, nothing is kept. */
type NameWindow = {
  readonly names: readonly ByteName[]
  readonly after: ByteName
  readonly scannedAt: number
}

/** Windows of one folder, none older than the page that somebody began with last. */
export class FolderWindows {
  /** Told apart by the folder's times, and only where they would have changed with it. */
  readonly state: string | undefined
  readonly #clock: Clock
  #windows: readonly NameWindow[] = []

  constructor(clock: Clock, state: string | undefined) {
    this.#clock = clock
    this.state = state
  }

  /** The names that are known to follow, `most` at most, or undefined when none is. */
  find(after: ByteName, most: number): NameScan | undefined {
    for (const window of this.#windows) {
      const first = firstBehind(window, after)
      const isKnown = first < window.names.length && window.after <= after
      if (isKnown && this.#isFresh(window)) {
        return { names: window.names.slice(first, first + most), hasMore: true }
      }
    }
    return undefined
  }

  /** `scannedAt`: when the scan began. Small folders are as soon read again. */
  add(scan: NameScan, { after, scannedAt }: Pick<NameWindow, 'after' | 'scannedAt'>): void {
    if (!scan.hasMore) return
    const window = { names: cutToSize(scan.names), after, scannedAt }
    this.#windows = [window, ...this.#windows].slice(0, MAX_WINDOWS_OF_FOLDER)
  }

  #isFresh({ scannedAt }: NameWindow): boolean {
    return this.#clock.now().getTime() - scannedAt < WINDOW_TTL_MS
  }
}

/** The index of the first name behind `after`. */
function firstBehind({ names }: NameWindow, after: ByteName): number {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const name = names[middle]
    if (name !== undefined && name <= after) low = middle + 1
    else high = middle
  }
  return low
}

function cutToSize(names: readonly ByteName[]): readonly ByteName[] {
  let bytes = 0
  const fitting = names.findIndex((name) => {
    bytes += name.length + STRING_OVERHEAD
    return bytes > MAX_WINDOW_BYTES
  })
  return fitting < 0 ? names : names.slice(0, fitting)
}

export class NameWindows {
  readonly #clock: Clock
  /** Least recently used first. */
  readonly #folders = new Map<string, FolderWindows>()
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * For a page at the beginning. Windows from before it are dropped unless the folder is still the
   * same: whoever reads on from this page must find all that is there now.
   */
  begin(folder: BigIntStats): FolderWindows {
    const known = this.#folders.get(keyOf(folder))
    const state = this.#stateOf(folder)
    // Windows that are not there yet, too: those who come together read the folder together.
    const isSame = state !== undefined && known?.state === state
    return this.#use(folder, isSame ? known : new FolderWindows(this.#clock, state))
  }

  /** For a page behind a cursor. */
  resume(folder: BigIntStats): FolderWindows {
    const known = this.#folders.get(keyOf(folder))
    return this.#use(folder, known ?? new FolderWindows(this.#clock, undefined))
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#folders.clear()
  }

  #use(folder: BigIntStats, windows: FolderWindows): FolderWindows {
    const key = keyOf(folder)
    this.#folders.delete(key)
    this.#folders.set(key, windows)
    const [oldest] = this.#folders.keys()
    if (this.#folders.size > MAX_FOLDERS && oldest !== undefined) this.#folders.delete(oldest)
    // Memory is given back, whether or not anybody comes again.
    this.#timer ??= setTimeout(() => this.clear(), 2 * WINDOW_TTL_MS).unref()
    return windows
  }

  /** Undefined while the folder could change once more without its times showing it. */
  #stateOf({ mtimeNs, ctimeNs, ctimeMs }: BigIntStats): string | undefined {
    const isSettled = this.#clock.now().getTime() - Number(ctimeMs) > CLOCK_GRAIN_MS
    return isSettled ? `${mtimeNs} ${ctimeNs}` : undefined
  }
}

function keyOf({ dev, ino }: BigIntStats): string {
  return `${dev} ${ino}`
}
