/**
 * @module How deep JSON may be nested that strangers give us. The SDK copies a task by recursion for each
 * of its events: where the stack ends, the task stays `working` for ever, or the process with it.
 */
export const MAX_NESTING = 200
/** Of a record of ours on the disk, which has the above inside. */
export const MAX_RECORD_NESTING = MAX_NESTING + 50

/** Whether something in `value` is nested deeper than so many levels. Looks no deeper itself. */
export function isTooDeep(value: unknown, levels = MAX_NESTING): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((inner) => isTooDeep(inner, levels - 1))
}
