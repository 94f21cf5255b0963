/** @module The process entry of `atrium`: the only file here with signals, streams and the exit. */
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { EXIT } from './failure.ts'
import { isProcessAlive } from './process-alive.ts'
import { runCli } from './run-cli.ts'

// A launcher forwards the signal that the terminal has already sent to the whole group.
const SAME_INTERRUPT_MS = 500

const interrupt = new AbortController()
const lastResort = new Set<() => void>()
let interruptedAtMs: number | undefined
function onSignal(): void {
  const nowMs = performance.now()
  if (interruptedAtMs === undefined) {
    interruptedAtMs = nowMs
    interrupt.abort()
  } else if (nowMs - interruptedAtMs > SAME_INTERRUPT_MS) {
    for (const end of lastResort) end()
    process.exit(EXIT.interrupted)
  }
}
process.on('SIGINT', onSignal)
process.on('SIGTERM', onSignal)

// Nobody reads the notices any more; the exit code still says how it ended.
process.stderr.on('error', () => undefined)

process.exitCode = await runCli({
  args: process.argv.slice(2),
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  readStdin: () => text(process.stdin),
  cwd: process.cwd(),
  pid: process.pid,
  projectRoot: resolve(import.meta.dirname, '../../..'),
  isAlive: isProcessAlive,
  clock: systemClock,
  ids: systemIds,
  signal: interrupt.signal,
  lastResort,
})
