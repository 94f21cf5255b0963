/**
 * @module One failure contract (design/architecture 7, H17 to H19): every error either app answers
 * with stands in `ERROR_TABLE`, and `describeFailure` is the only thing that turns one into a body.
 */
import type { ErrorEntry, Hop } from './error-table/error-entry.ts'
import { FILE_ERRORS } from './error-table/file-errors.ts'
import { FORWARDING_ERRORS } from './error-table/forwarding-errors.ts'
import { REQUEST_ERRORS } from './error-table/request-errors.ts'
import { WORKSPACE_ERRORS } from './error-table/workspace-errors.ts'

/** Codes are wire values: stable, never reused. `docs/errors.md` is tested against this table. */
export const ERROR_TABLE = {
  ...REQUEST_ERRORS,
  ...WORKSPACE_ERRORS,
  ...FILE_ERRORS,
  ...FORWARDING_ERRORS,
} as const satisfies Readonly<Record<string, ErrorEntry>>

export type { Hop } from './error-table/error-entry.ts'
export type ErrorCode = keyof typeof ERROR_TABLE

export type AppErrorOptions = {
  /** Public text in place of the table's, where the contract's words contain a value. */
  readonly message?: string
  /** For the log only; never leaves the process. */
  readonly internal?: string
  readonly cause?: unknown
  /** Extra public keys of the body; must not contain ids of others, paths or upstream text. */
  readonly extensions?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

/** A failure with a code from `ERROR_TABLE`; everything else that is thrown is our bug (500). */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly publicText: string
  readonly internal: string | undefined
  readonly extensions: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.internal ?? options.message ?? ERROR_TABLE[code].text, { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.publicText = options.message ?? ERROR_TABLE[code].text
    this.internal = options.internal
    this.extensions = options.extensions ?? {}
    this.headers = options.headers ?? {}
  }

  get status(): ErrorEntry['status'] {
    return ERROR_TABLE[this.code].status
  }
}

/** The public half of a failure, ready for any renderer (HTTP body or JSON-RPC `error.data`). */
export type FailureDescription = {
  readonly status: ErrorEntry['status']
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>> & {
    readonly error: string
    readonly code: ErrorCode
    readonly hop: Hop
    readonly retryable: boolean
    readonly request_id: string
  }
}

/** The `AppError` behind a thrown value: itself, one of its causes, or undefined. */
export function findAppError(thrown: unknown): AppError | undefined {
  let current = thrown
  // Stream and client libraries wrap what a callback threw; four levels are more than any does.
  for (let depth = 0; depth < 4 && current instanceof Error; depth += 1) {
    if (current instanceof AppError) return current
    current = current.cause
  }
  return undefined
}

/**
 * What the client may know about a failure. Anything that is not an `AppError` is `internal`:
 * its own text goes to the log, never here.
 */
export function describeFailure(
  thrown: unknown,
  context: { readonly hop: Hop; readonly requestId: string },
): FailureDescription {
  const error = findAppError(thrown) ?? new AppError('internal')
  const entry: ErrorEntry = ERROR_TABLE[error.code]
  const retryAfter = entry.retryAfterSeconds
  return {
    status: entry.status,
    headers: {
      ...(retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) }),
      ...error.headers,
    },
    body: {
      error: error.publicText,
      code: error.code,
      hop: entry.hop ?? context.hop,
      retryable: entry.retryable,
      // The contract's chat routes say `retry_after_seconds` (6.1), its proxy says `retry_after` (4.2).
      ...(retryAfter === undefined
        ? {}
        : { retry_after: retryAfter, retry_after_seconds: retryAfter }),
      ...error.extensions,
      request_id: context.requestId,
    },
  }
}
