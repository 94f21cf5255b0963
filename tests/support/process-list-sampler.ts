/** @module Writes down every command line on the machine while the tests run, for the audit. */
import { appendFile, readdir, readFile } from 'node:fs/promises'
import { runLogPath } from './secret-ledger.ts'

const EVERY_MS = 500

/** The name of its log begins with this. */
export const PROCESS_LIST_LOG = 'process-list'

export type ProcessListSampler = { stop(): Promise<void> }

/** Samples /proc until stopped; each command line of a process is written once. */
export function startProcessListSampler(): ProcessListSampler {
  const path = runLogPath(PROCESS_LIST_LOG)
  const seen = new Set<string>()
  let pending = Promise.resolve()
  const sample = async (): Promise<void> => {
    const lines: string[] = []
    for (const pid of await readdir('/proc')) {
      if (!/^[0-9]+$/.test(pid)) continue
      const line = `${pid} ${await commandLineOf(pid)}`
      if (!seen.has(line)) lines.push(line)
      seen.add(line)
    }
    if (lines.length > 0) await appendFile(path, `${lines.join('\n')}\n`)
  }
  const timer = setInterval(() => {
    pending = pending.then(sample)
  }, EVERY_MS)
  return {
    async stop() {
      clearInterval(timer)
      await pending
    },
  }
}

async function commandLineOf(pid: string): Promise<string> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim()
  } catch {
    // Gone between the listing and the reading.
    return ''
  }
}
