/** @module What a system error means while something is being stored. */
import { AppError, type ErrorCode } from '@atrium/http-kit/app-error'
import { hasErrorCode } from '@atrium/http-kit/error-code'

// No room, rather than something broken: worth another try once somebody made some.
const STORAGE_FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

export function isStorageFull(error: unknown): boolean {
  return hasErrorCode(error, ...STORAGE_FULL)
}

/** `insufficient_storage` when there is no room, `otherwise` when not; an AppError stays itself. */
export function storageFailure(
  error: unknown,
  otherwise: ErrorCode = 'upload_write_failed',
): AppError {
  if (error instanceof AppError) return error
  const code = isStorageFull(error) ? 'insufficient_storage' : otherwise
  return new AppError(code, { cause: error })
}
