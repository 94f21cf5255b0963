/** @module A value as one word of a POSIX shell, for commands that the user is told to run. */

/** `value` unquoted when it is harmless, otherwise in single quotes. */
export function shellWord(value: string): string {
  if (/^[A-Za-z0-9_\-./:=@%+,]+$/.test(value)) return value
  return `'${value.replaceAll("'", "'\\''")}'`
}
