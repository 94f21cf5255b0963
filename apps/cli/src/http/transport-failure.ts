/** @module Turns a connection that did not work out into the failure that the user sees. */
import { errorCodeOf } from '@atrium/http-kit/error-code'
import { CliFailure, describeThrown, EXIT } from '../failure.ts'

const NOBODY_THERE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])
const SILENT = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT'])

/** The first system or library error code in a chain of causes. */
function errorCode(thrown: unknown): string | undefined {
  let current = thrown
  for (let depth = 0; depth < 4 && current instanceof Error; depth += 1) {
    const code = errorCodeOf(current)
    if (code !== undefined) return code
    if (current instanceof AggregateError && current.errors.length > 0) {
      return errorCode(current.errors[0])
    }
    current = current.cause
  }
  return undefined
}

/** Whether a failure says that no connection came about, so that nothing was handed over. */
export function isNobodyThere({ facts }: CliFailure): boolean {
  const code = errorCode(facts.cause)
  return code !== undefined && NOBODY_THERE.has(code)
}

/** What a user's interrupt ends a command with (exit 130). */
export function interruptedFailure(): CliFailure {
  return new CliFailure(EXIT.interrupted, 'interrupted')
}

/**
 * The failure of a request that got no usable answer; a `CliFailure` passes through unchanged.
 * `origin` never contains credentials (see `readConfig`).
 */
export function transportFailure(thrown: unknown, origin: string, signal: AbortSignal): CliFailure {
  if (signal.aborted) return interruptedFailure()
  if (thrown instanceof CliFailure) return thrown
  const code = errorCode(thrown)
  if (code !== undefined && NOBODY_THERE.has(code)) {
    const hint = 'start one with `npm start`, or say where it is: ATRIUM_URL or --url'
    return new CliFailure(EXIT.unreachable, `no platform answers at ${origin} (${code})`, {
      retryable: true,
      hint,
      cause: thrown,
    })
  }
  const what =
    code !== undefined && SILENT.has(code)
      ? 'the platform went silent'
      : `the connection to the platform broke (${code ?? describeThrown(thrown)})`
  return new CliFailure(EXIT.unreachable, what, { retryable: true, cause: thrown })
}
