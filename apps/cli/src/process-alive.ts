/** @module Whether a process still runs: the record it left behind is believed only then. */
import { readFileSync } from 'node:fs'
import { hasErrorCode } from '@atrium/http-kit/error-code'

/**
 * Whether a process with this id exists and is more than an entry that nobody has collected yet (a
 * zombie answers to signal 0 for as long as its parent sleeps).
 */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (thrown) {
    // EPERM: it exists and belongs to somebody else. ESRCH: it does not exist.
    return hasErrorCode(thrown, 'EPERM')
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // proc(5): the state follows the command in parentheses, which may contain any character.
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    // No /proc on this system, or gone in between: signal 0 has answered.
    return true
  }
}
