/** @module Transport failures of the way to a runtime, in terms of the failure contract (H19). */
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import { errorCodeOf, hasErrorCode } from '@atrium/http-kit/error-code'

/** The `AppError` for anything that went wrong before the head: 502 unless it says otherwise. */
export function runtimeFailure(error: unknown): AppError {
  const known = findAppError(error)
  if (known !== undefined) return known
  // llhttp's own codes: a malformed head, a head above the cap, contradicting framing.
  if (errorCodeOf(error)?.startsWith('HPE_') === true)
    return new AppError('workspace_invalid_response', { cause: error })
  return new AppError('workspace_unreachable', { cause: error })
}

/** Whether the peer closed the connection under us (Node says ECONNRESET for "hang up" as well). */
export function isConnectionLost(error: unknown): boolean {
  return hasErrorCode(error, 'ECONNRESET', 'EPIPE')
}
