/** @module The one question asked of a file system, process or socket error: which one was it. */

/** The code of a system error, for example `ENOENT`; undefined for anything else. */
export function errorCodeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

/** Whether `error` is a system error with one of these codes. */
export function hasErrorCode(error: unknown, ...codes: readonly string[]): boolean {
  const code = errorCodeOf(error)
  return code !== undefined && codes.includes(code)
}
