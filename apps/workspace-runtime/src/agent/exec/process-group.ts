/** @module Everything a command started, as far as it stayed in its process group. */
import { kill } from 'node:process'
import type { Clock } from '@atrium/http-kit/clock'
import { hasErrorCode } from '@atrium/http-kit/error-code'

const POLL_MS = 20
/** A zombie that nobody reaps answers to signals for ever; it is not waited for. */
const GIVE_UP_MS = 1_000

/** Whether any process of the group is left. */
function isAlive(groupId: number): boolean {
  return signalGroup(groupId, 0)
}

/** Sends a signal to every process of the group; false when there is none. */
export function signalGroup(groupId: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return kill(-groupId, signal)
  } catch (error) {
    // ESRCH: gone. EPERM: what is left belongs to somebody else by now, and is not ours to end.
    if (hasErrorCode(error, 'ESRCH', 'EPERM')) return false
    throw error
  }
}

/**
 * Ends the group: SIGTERM, and SIGKILL for what is left after `graceMs`. Resolves when it is gone,
 * or when it does not go even then.
 */
export async function endGroup(clock: Clock, groupId: number, graceMs: number): Promise<void> {
  if (!signalGroup(groupId, 'SIGTERM')) return
  if (await isGoneWithin(clock, groupId, graceMs)) return
  signalGroup(groupId, 'SIGKILL')
  await isGoneWithin(clock, groupId, GIVE_UP_MS)
}

async function isGoneWithin(clock: Clock, groupId: number, ms: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < ms; waitedMs += POLL_MS) {
    if (!isAlive(groupId)) return true
    await clock.sleep(POLL_MS)
  }
  return !isAlive(groupId)
}
