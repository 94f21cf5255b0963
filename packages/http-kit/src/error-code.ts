/** @module The one question asked of a file system, process or socket error: which one was it. */

/** Whether `error` is a system error with one of these codes, for example `ENOENT`. */
export function hasErrorCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code)
}
