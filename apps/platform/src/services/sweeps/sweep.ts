/** @module A reconciler: looks at what is, and puts right what is not as it should be. */

/** What a pass did, for operators: counts by what was done. */
export type PassResult = Readonly<Record<string, number>>

export type Sweep = {
  /** Shown at GET /admin/liveness; one pass per name and interval over all replicas. */
  readonly name: string
  readonly everyMs: number
  /** `signal` is aborted when the platform ends: a long pass stops where it is. */
  run(signal: AbortSignal): Promise<PassResult>
}
