/** @module Ends a set of processes for good: asked first, then killed, then looked for again. */
import process from 'node:process'
import type { Clock } from '@atrium/http-kit/clock'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { isAlive, type ProcessInfo } from './process-table.ts'

export type EndOptions = {
  readonly clock: Clock
  /** Looks for the members anew; called until it finds nobody. */
  readonly find: () => Promise<readonly ProcessInfo[]>
  /** A group that is known to be ours while any member of it lives, with or without its leader. */
  readonly groupId: number | undefined
  /** Leads a group of its own and is killed with the others, but never asked to end. */
  readonly sparedPid: number | undefined
  /** How long SIGTERM may take before SIGKILL; 0 kills at once. */
  readonly graceMs: number
  /** How long killed processes may take to disappear (a hung disk holds them). */
  readonly killTimeoutMs: number
}

const POLL_MS = 20

/**
 * Resolves when nobody is left. Throws when a member survives SIGKILL for `killTimeoutMs` or may
 * not be signalled.
 */
export async function endProcesses(options: EndOptions): Promise<void> {
  if (options.graceMs > 0) {
    const members = await options.find()
    const asked = members.filter((info) => info.groupId !== options.sparedPid)
    signalAll(options, asked, 'SIGTERM')
    await waitForEnd(options, members, options.graceMs)
  }
  // A member may fork between being listed and being killed: kill and look until nobody is found.
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const members = await options.find()
    if (members.length === 0) return
    if (waitedMs >= options.killTimeoutMs) {
      const pids = members.map((info) => info.pid).join(', ')
      throw new Error(`processes survived SIGKILL for ${options.killTimeoutMs} ms: ${pids}`)
    }
    signalAll(options, members, 'SIGKILL')
    await waitForEnd(options, members, POLL_MS)
  }
}

async function waitForEnd(
  { clock }: EndOptions,
  members: readonly ProcessInfo[],
  limitMs: number,
): Promise<void> {
  for (let waitedMs = 0; waitedMs < limitMs && members.some(isAlive); waitedMs += POLL_MS) {
    await clock.sleep(POLL_MS)
  }
}

/**
 * Signals whole groups where the group is ours or its leader is a member (one atomic call, so that a
 * fork bomb cannot outrun it) and everybody else by itself. Each target is verified right before.
 */
function signalAll(
  options: EndOptions,
  members: readonly ProcessInfo[],
  signal: 'SIGTERM' | 'SIGKILL',
): void {
  const alive = members.filter(isAlive)
  const led = new Set(
    alive
      .filter(({ groupId, pid }) => groupId === pid || groupId === options.groupId)
      .map((info) => info.groupId),
  )
  for (const groupId of led) send(-groupId, signal)
  for (const info of alive) {
    if (!led.has(info.groupId) && isAlive(info)) send(info.pid, signal)
  }
}

function send(target: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(target, signal)
  } catch (error) {
    // ESRCH: it ended first, which is what was wanted.
    if (!hasErrorCode(error, 'ESRCH')) throw error
  }
}
