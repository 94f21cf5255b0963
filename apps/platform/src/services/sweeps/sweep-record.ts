/** @module Which replica makes a pass, and what came of it. */

import { findAppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../../db/client.ts'
import { listReplicas, type Replica } from '../../db/replica-store.ts'
import {
  claimPass,
  listPasses,
  type RunFigures,
  readRunFigures,
  readUploadSweepFigures,
  recordPass,
  type SweepPass,
  type UploadSweepFigures,
} from '../../db/sweep-store.ts'
import type { PassResult, Sweep } from './sweep.ts'

export type SweepRecordDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly replicaId: string
}

export class SweepRecord {
  readonly #deps: SweepRecordDeps

  constructor(deps: SweepRecordDeps) {
    this.#deps = deps
  }

  /**
   * Makes the pass unless some replica made it lately; resolves with its result, or undefined when
   * it was not due. A failure is recorded and thrown.
   */
  async make(sweep: Sweep, signal: AbortSignal): Promise<PassResult | undefined> {
    const { db, clock, replicaId } = this.#deps
    const { name, everyMs } = sweep
    if (!(await claimPass(db, { name, everyMs, replicaId }))) return undefined
    const startedAt = clock.now().getTime()
    const tookMs = (): number => Math.max(0, clock.now().getTime() - startedAt)
    try {
      const result = await sweep.run(signal)
      await recordPass(db, { name, tookMs: tookMs(), result })
      return result
    } catch (error) {
      const failure = { error: findAppError(error)?.code ?? 'failed; see the log' }
      await recordPass(db, { name, tookMs: tookMs(), result: failure })
      throw error
    }
  }
}

export type Liveness = {
  readonly passes: readonly SweepPass[]
  readonly runs: RunFigures
  /** Runtimes make these passes, not a replica. */
  readonly uploadSweeps: UploadSweepFigures
  readonly replicas: readonly (Replica & { readonly lastBeatAt: Date })[]
  readonly now: Date
}

/** What `GET /admin/liveness` tells. */
export async function readLiveness(deps: {
  readonly db: Db
  readonly clock: Clock
}): Promise<Liveness> {
  const { db, clock } = deps
  const now = clock.now()
  return {
    passes: await listPasses(db),
    runs: await readRunFigures(db),
    uploadSweeps: await readUploadSweepFigures(db, now),
    replicas: await listReplicas(db),
    now,
  }
}
