/** @module The one question asked of a file system or process error: which errno was it. */

/** Whether `error` is a Node system error with this code, for example `ENOENT`. */
export function hasErrorCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
