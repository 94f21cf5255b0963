/** @module What tells a process from a later one with the same number. */
import { readFileSync } from 'node:fs'

/** Its number and, where the system tells, when it started; of a dead one the number alone. */
export function processMark(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // proc(5): field 22; the second is in parentheses and may contain any character.
    const startTicks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
    return `${pid} ${startTicks}`
  } catch {
    // No /proc on this system, or the process is gone.
    return `${pid}`
  }
}

/** The number in a mark; NaN when it is none. */
export function pidOf(mark: string): number {
  return Number.parseInt(mark, 10)
}
