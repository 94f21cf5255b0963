/** @module What a failing database means to a caller, where no operation has words of its own. */
import { AppError } from '@atrium/http-kit/app-error'
import { isDatabaseUnavailable, loggableDatabaseError } from '../db/db-error.ts'

/**
 * `platform_unavailable` (contract/platform 1.0) when the database cannot be asked at the moment;
 * undefined for everything else, which stays our bug (H19).
 */
export function databaseProblem(thrown: unknown): AppError | undefined {
  return isDatabaseUnavailable(thrown)
    ? new AppError('platform_unavailable', { cause: loggableDatabaseError(thrown) })
    : undefined
}
