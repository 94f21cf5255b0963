/** @module What /proc says about processes: the only witness that survives a crash of ours. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { hasErrorCode } from '@atrium/http-kit/error-code'

/** Fields of /proc/PID/stat after the command name, counted from `state` (proc_pid_stat(5)). */
const START_TIME_FIELD = 19
const STATE_FIELD = 0

/**
 * When the process started, in clock ticks since boot, or undefined when there is none (a zombie
 * counts as none). With the pid it names one process for ever: pids are used again.
 */
export async function processStartTicks(pid: number): Promise<string | undefined> {
  const text = await readProc(() => readFile(`/proc/${pid}/stat`, 'utf8'))
  if (text === undefined) return undefined
  // The command name stands in parentheses and may contain anything, so the last one counts.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields[STATE_FIELD] === 'Z' ? undefined : fields[START_TIME_FIELD]
}

/** The processes named `command` that work in `folder`, by device and inode. */
export async function processesIn(folder: string, command: string): Promise<number[]> {
  const wanted = await readProc(() => stat(folder))
  if (wanted === undefined) return []
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue
    const comm = await readProc(() => readFile(`/proc/${name}/comm`, 'utf8'))
    if (comm?.trimEnd() !== command) continue
    const cwd = await readProc(() => stat(`/proc/${name}/cwd`))
    if (cwd?.ino === wanted.ino && cwd.dev === wanted.dev) found.push(Number(name))
  }
  return found
}

/** Reads something that may be gone by now, or another user's and so none of our business. */
async function readProc<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined
    throw error
  }
}
