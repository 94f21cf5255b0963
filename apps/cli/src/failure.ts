/** @module What a command can end with: one exit code table and the one error that carries it. */
import { errorCodeOf } from '@atrium/http-kit/error-code'

/** Documented in docs/cli.md and in `atrium --help`; stable, because scripts branch on them. */
export const EXIT = Object.freeze({
  ok: 0,
  /** The platform, the workspace or the agent said no, or what arrived is not what was sent. */
  failed: 1,
  /** The command line, or a local file it names, is not right. */
  usage: 2,
  notFound: 3,
  auth: 4,
  /** Unreachable, silent or busy: the same command may succeed later. */
  unreachable: 5,
  interrupted: 130,
  /** The reader of standard output went away; what a shell reports for SIGPIPE. */
  outputClosed: 141,
})

const REASONS: Readonly<Record<string, string>> = Object.freeze({
  EACCES: 'permission denied',
  EDQUOT: 'the quota is used up',
  EISDIR: 'it is a directory',
  ENOENT: 'no such file',
  ENOSPC: 'no space left on the device',
  EROFS: 'the file system is read-only',
})

export type FailureFacts = {
  readonly status?: number
  readonly code?: string
  readonly hop?: string
  readonly retryable?: boolean
  readonly retryAfterSeconds?: number
  readonly requestId?: string
  /** One line that says what the user can do about it. */
  readonly hint?: string
  /** What was thrown underneath; never shown. */
  readonly cause?: unknown
}

/** A failure with its exit code; its message is shown to the user as it is. */
export class CliFailure extends Error {
  readonly exitCode: number
  readonly facts: FailureFacts

  constructor(exitCode: number, message: string, facts: FailureFacts = {}) {
    super(message, { cause: facts.cause })
    this.name = 'CliFailure'
    this.exitCode = exitCode
    this.facts = facts
  }
}

/** A mistake in the command line or in a local file that it names (exit 2). */
export function usageFailure(message: string, hint?: string): CliFailure {
  return new CliFailure(EXIT.usage, message, hint === undefined ? {} : { hint })
}

/** What went wrong with a local file or stream, in the words of a person where there are some. */
export function reasonOf(thrown: unknown): string {
  const code = errorCodeOf(thrown)
  return code === undefined ? describeThrown(thrown) : (REASONS[code] ?? code)
}

/** The message of anything that was thrown, on one line. */
export function describeThrown(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  // An AggregateError (happy eyeballs) has an empty message of its own.
  if (thrown instanceof AggregateError && thrown.errors.length > 0) {
    return describeThrown(thrown.errors[0])
  }
  return thrown.message === '' ? thrown.name : thrown.message
}
