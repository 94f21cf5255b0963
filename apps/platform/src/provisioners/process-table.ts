/** @module What Linux knows about running processes, read from `/proc` (proc(5)). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setImmediate as yieldToLoop } from 'node:timers/promises'
import { hasErrorCode } from '@atrium/http-kit/error-code'

/** One process. `pid` alone names nobody for long: with `startTicks` it is an identity. */
export type ProcessInfo = {
  readonly pid: number
  readonly parentPid: number
  readonly groupId: number
  readonly sessionId: number
  /** Clock ticks between boot and the start of the process. */
  readonly startTicks: number
  /** Dead but not yet waited for by its parent: runs nothing, holds nothing. */
  readonly isZombie: boolean
}

// A busy machine has thousands of processes; this many take about 3 ms.
const READS_PER_TURN = 128

/** The process with this id, or undefined when there is none. Throws on errors other than its end. */
export function readProcess(pid: number): ProcessInfo | undefined {
  const stat = readProcFile(pid, 'stat')
  if (stat === undefined || stat === '') return undefined
  // The name stands in parentheses and may itself contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, parentPid, groupId, sessionId] = fields
  const startTicks = Number(fields[19])
  if (sessionId === undefined || !Number.isSafeInteger(startTicks)) {
    throw new Error(`/proc/${pid}/stat has an unknown form`)
  }
  return {
    pid,
    parentPid: Number(parentPid),
    groupId: Number(groupId),
    sessionId: Number(sessionId),
    startTicks,
    isZombie: state === 'Z' || state === 'X',
  }
}

/** The running processes and, for those that may be looked at, one variable of their environment. */
export type ProcessSnapshot = {
  readonly processes: readonly ProcessInfo[]
  readonly valueByPid: ReadonlyMap<number, string>
}

/** All processes, read in slices that leave the event loop free. Not atomic: callers look twice. */
export async function snapshotProcesses(variable: string): Promise<ProcessSnapshot> {
  const processes: ProcessInfo[] = []
  const valueByPid = new Map<number, string>()
  const pids = readdirSync('/proc').filter((name) => /^[1-9][0-9]*$/.test(name))
  for (const [index, name] of pids.entries()) {
    if (index % READS_PER_TURN === READS_PER_TURN - 1) await yieldToLoop()
    const info = readProcess(Number(name))
    if (info === undefined) continue
    processes.push(info)
    const value = readEnvironmentVariable(info.pid, variable)
    if (value !== undefined) valueByPid.set(info.pid, value)
  }
  return { processes, valueByPid }
}

/** Whether exactly this process still runs: same id, same start, not a zombie. */
export function isAlive(known: ProcessInfo): boolean {
  const current = readProcess(known.pid)
  return current !== undefined && !current.isZombie && current.startTicks === known.startTicks
}

/** One variable of the environment a process was started with; undefined when absent or unreadable. */
function readEnvironmentVariable(pid: number, name: string): string | undefined {
  const prefix = `${name}=`
  const entry = readProcFile(pid, 'environ')
    ?.split('\0')
    .find((line) => line.startsWith(prefix))
  return entry?.slice(prefix.length)
}

/** The working directory of a process; undefined when it ended or is not ours to look at. */
export function readWorkingDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch (error) {
    if (isGoneOrForeign(error)) return undefined
    throw error
  }
}

/** Changes with every boot: process ids and start ticks of another boot mean nothing. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

function readProcFile(pid: number, name: 'stat' | 'environ'): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch (error) {
    if (isGoneOrForeign(error)) return undefined
    throw error
  }
}

/** ESRCH: ended between open and read. EACCES, EPERM: another user's, so not one of our boxes. */
function isGoneOrForeign(error: unknown): boolean {
  return hasErrorCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')
}
