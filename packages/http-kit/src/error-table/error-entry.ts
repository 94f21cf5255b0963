/** @module What is fixed of an error: its status, its words, whether to try again. */

/** Where a failure arose: in the platform, in (or on the way to) the workspace, in its back-end. */
export type Hop = 'platform' | 'workspace' | 'provisioner'

export type ErrorEntry = {
  readonly status:
    | 400
    | 401
    | 402
    | 403
    | 404
    | 405
    | 408
    | 409
    | 410
    | 412
    | 413
    | 415
    | 416
    | 429
    | 500
    | 502
    | 503
    | 504
    | 507
  /** The public text: the contract's exact words where it has them (H18). */
  readonly text: string
  /** Whether the same request may succeed later without anybody changing it. */
  readonly retryable: boolean
  /** Fixed when the failure is always of one hop; otherwise the app that renders it. */
  readonly hop?: Hop
  /** Seconds for `Retry-After`, the `retry_after` key and, where the contract says so, aliases. */
  readonly retryAfterSeconds?: number
}

export type ErrorEntries = Readonly<Record<string, ErrorEntry>>
