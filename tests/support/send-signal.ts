/** @module Signals for processes that may have ended between the look and the signal. */

/**
 * Sends a signal to a process, or to a group by its negative id; false when there is none any more.
 * Throws for every other reason, as for a process that belongs to somebody else.
 */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH') return false
    throw thrown
  }
}
