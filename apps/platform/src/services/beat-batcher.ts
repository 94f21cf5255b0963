/** @module Beats on their way into the database: grouped, bounded, each with an answer of its own. */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import {
  type BeatenWorkspace,
  type BeatRecord,
  type StoredBeats,
  storeBeats,
} from '../db/beat-store.ts'
import type { Sql } from '../db/client.ts'
import {
  databaseFailure,
  isDatabaseUnavailable,
  isLockTimeout,
  loggableDatabaseError,
} from '../db/db-error.ts'
import { GroupCommit } from './group-commit.ts'
import { KeyedMutex } from './keyed-mutex.ts'

export type BeatOutcome =
  | { readonly kind: 'stored'; readonly row: BeatenWorkspace }
  /** No live token of that workspace, which may not even be there. */
  | { readonly kind: 'refused' }
  /** Its token is good, its generation is not. */
  | { readonly kind: 'stale' }

export type BeatBatcherDeps = {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Logger
  readonly isBootstrapOpen: boolean
}

/** Above, a statement takes longer without a beat in it costing less (docs/performance.md). */
const MAX_GROUP_BEATS = 256
const MAX_GROUP_BYTES = 1024 ** 2
const MAX_WAITING_BEATS = 10_000
const MAX_WAITING_BYTES = 32 * 1024 ** 2
/** The runtime gives a beat up after 10 s (contract/runtime 7.2). */
const MAX_WAIT_MS = 5_000
/** A group does not stand behind one row that somebody has locked. */
const GROUP_LOCK_TIMEOUT_MS = 250
const SINGLE_LOCK_TIMEOUT_MS = 3_000
/** Connections that beats which have to go alone may take; and how many may wait for them. */
const LANES = 2
const MAX_SINGLES = 1_000
const FIXED_BYTES = 256

export class BeatBatcher {
  readonly #deps: BeatBatcherDeps
  readonly #groups: GroupCommit<BeatRecord, BeatOutcome>
  readonly #lanes = new KeyedMutex()
  readonly #singles = new Set<Promise<BeatOutcome>>()

  constructor(deps: BeatBatcherDeps) {
    this.#deps = deps
    this.#groups = new GroupCommit({
      run: (beats) => this.#storeGroup(beats),
      sizeOf: bytesOf,
      maxGroupItems: MAX_GROUP_BEATS,
      maxGroupBytes: MAX_GROUP_BYTES,
      maxWaitingItems: MAX_WAITING_BEATS,
      maxWaitingBytes: MAX_WAITING_BYTES,
      maxWaitMs: MAX_WAIT_MS,
    })
  }

  /**
   * Stores a beat together with those that arrive while the database is busy with earlier ones.
   * Throws `platform_unavailable` when too many wait or the database is away, `heartbeat_failed`
   * when it refuses this very beat.
   */
  record(beat: BeatRecord): Promise<BeatOutcome> {
    return this.#groups.submit(beat)
  }

  /** Resolves when no beat waits or is in flight; before the pool is closed. */
  async drain(): Promise<void> {
    await this.#groups.drain()
    await Promise.allSettled(this.#singles)
  }

  async #storeGroup(
    beats: readonly BeatRecord[],
  ): Promise<readonly (BeatOutcome | Promise<BeatOutcome>)[]> {
    let result: StoredBeats
    try {
      result = await this.#store(beats, GROUP_LOCK_TIMEOUT_MS)
    } catch (error) {
      if (isDatabaseUnavailable(error)) throw unavailable(error)
      // One locked row, or one value that nobody foresaw, is its own beat's trouble only.
      const { sqlState } = databaseFailure(error) ?? {}
      this.#deps.log.warn({ beats: beats.length, sql_state: sqlState }, 'registry.beats_split')
      return beats.map((beat) => this.#storeAlone(beat))
    }
    return beats.map((beat, index) => {
      if (!result.admitted.has(index)) return { kind: 'refused' }
      const row = result.stored.get(beat.workspaceId)
      const isStored = row !== undefined && (beat.generation ?? row.generation) === row.generation
      // Stale, or stood behind a stale one of the same workspace: alone, that can be told.
      return isStored ? { kind: 'stored', row } : this.#storeAlone(beat)
    })
  }

  #storeAlone(beat: BeatRecord): Promise<BeatOutcome> {
    if (this.#singles.size >= MAX_SINGLES) return Promise.reject(unavailable(undefined))
    // The same lane for the same workspace: its beats keep their order.
    const lane = String((beat.workspaceId.codePointAt(0) ?? 0) % LANES)
    const outcome = this.#lanes
      .run(lane, () => this.#storeOne(beat))
      .finally(() => this.#singles.delete(outcome))
    this.#singles.add(outcome)
    return outcome
  }

  async #storeOne(beat: BeatRecord): Promise<BeatOutcome> {
    try {
      const { admitted, stored } = await this.#store([beat], SINGLE_LOCK_TIMEOUT_MS)
      const row = stored.get(beat.workspaceId)
      if (row !== undefined) return { kind: 'stored', row }
      // A removed workspace's tokens are revoked, so what is left is another generation.
      return { kind: admitted.size > 0 && beat.generation !== null ? 'stale' : 'refused' }
    } catch (error) {
      if (isDatabaseUnavailable(error) || isLockTimeout(error)) throw unavailable(error)
      throw new AppError('heartbeat_failed', { cause: loggableDatabaseError(error) })
    }
  }

  #store(beats: readonly BeatRecord[], lockTimeoutMs: number): Promise<StoredBeats> {
    const { sql, clock, isBootstrapOpen } = this.#deps
    return storeBeats(sql, { beats, now: clock.now(), lockTimeoutMs, isBootstrapOpen })
  }
}

function bytesOf(beat: BeatRecord): number {
  const { sampleError, currentTask, runtimeMetadata } = beat
  return FIXED_BYTES + sampleError.length + currentTask.length + (runtimeMetadata?.length ?? 0)
}

function unavailable(error: unknown): AppError {
  return new AppError('platform_unavailable', {
    cause: error === undefined ? undefined : loggableDatabaseError(error),
  })
}
