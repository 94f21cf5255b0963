/** @module What a crash left running: a postmaster without a platform, backends without either. */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import type { Clock } from '@atrium/http-kit/clock'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import type { Logger } from 'pino'
import { processesIn } from './process-table.ts'
import { waitUntil } from './wait-until.ts'

/** Fast shutdown writes a checkpoint first; immediate shutdown leaves recovery to the next start. */
const ESCALATION = [
  { signal: 'SIGINT', withinMs: 15_000 },
  { signal: 'SIGQUIT', withinMs: 5_000 },
  { signal: 'SIGKILL', withinMs: 5_000 },
] as const

/** Processes without a postmaster have noticed by now, unless they hang. */
const LEADERLESS_MS = 2_000

/**
 * Stops every server process that still works in `pgdata` and removes what they left in the way.
 * Call only while holding the folder's lock. Throws when a process cannot be stopped.
 */
export async function stopOrphanServers(pgdata: string, log: Logger, clock: Clock): Promise<void> {
  const pidFile = join(pgdata, 'postmaster.pid')
  for (const { signal, withinMs } of ESCALATION) {
    const pids = await serversOf(pgdata)
    if (pids.length === 0) break
    // The postmaster stops its backends in order; without one, each is told.
    const postmaster = await postmasterAmong(pids, pidFile)
    const told = postmaster === undefined || signal === 'SIGKILL' ? pids : [postmaster]
    log.warn({ pids, signal }, 'database.orphan_found')
    for (const pid of told) signalIfThere(pid, signal)
    const patienceMs = postmaster === undefined ? LEADERLESS_MS : withinMs
    await waitUntil(async () => (await serversOf(pgdata)).length === 0, patienceMs, clock)
  }
  const left = await serversOf(pgdata)
  if (left.length > 0) {
    throw new Error(
      `an earlier embedded database still runs on ${pgdata} as process ${left.join(', ')} and ` +
        'does not stop: end it by hand, then start again',
    )
  }
  // Nobody works here, so the pid in the file means nothing; PostgreSQL would refuse to start
  // when an unrelated process has that number by now.
  await rm(pidFile, { force: true })
}

function serversOf(pgdata: string): Promise<number[]> {
  return processesIn(pgdata, 'postgres')
}

async function postmasterAmong(pids: number[], pidFile: string): Promise<number | undefined> {
  try {
    const pid = Number.parseInt(await readFile(pidFile, 'utf8'), 10)
    return pids.includes(pid) ? pid : undefined
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (!hasErrorCode(error, 'ESRCH')) throw error
  }
}
