/** @module One postmaster as our child: started on a port, watched, stopped in bounded time. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { Clock } from '@atrium/http-kit/clock'
import { type Launcher, SERVER_ENVIRONMENT } from './launcher.ts'
import { waitUntil } from './wait-until.ts'

/** Fast shutdown has to write a checkpoint; immediate shutdown only has to exit. */
const FAST_STOP_MS = 10_000
const IMMEDIATE_STOP_MS = 3_000

export type ServerProcess = {
  readonly port: number
  readonly pid: number
  /** Why it ended, or undefined while it runs. */
  ended(): string | undefined
  /** Resolves with the same when it ends. */
  readonly exited: Promise<string>
  /** Fast shutdown, then immediate, then kill; resolves when the postmaster is gone. */
  stop(): Promise<void>
}

export type ServerOptions = {
  readonly postgres: string
  readonly launcher: Launcher
  readonly pgdata: string
  readonly logFile: string
  readonly isDurable: boolean
  readonly clock: Clock
  /** undefined: a free one. */
  readonly port: number | undefined
}

/** Spawns the postmaster on a loopback port; it is not ready yet. */
export async function spawnServer(options: ServerOptions): Promise<ServerProcess> {
  const port = options.port ?? (await freeLoopbackPort())
  const [command, ...args] = [
    ...options.launcher.prefix,
    options.postgres,
    ...['-D', options.pgdata, '-p', String(port)],
    ...settings(options.isDurable).flatMap((setting) => ['-c', setting]),
  ]
  if (command === undefined) throw new Error('an empty command')
  const logFile = await open(options.logFile, 'a', 0o600)
  try {
    const child = spawn(command, args, {
      ...options.launcher.user,
      cwd: options.pgdata,
      env: SERVER_ENVIRONMENT,
      stdio: ['ignore', logFile.fd, logFile.fd],
      // A session of its own: the terminal's Ctrl-C is for us, and the database goes last (H37).
      detached: true,
    })
    // Before anything is waited for: one that ends at once has ended by then, and says it only once.
    const server = supervise(child, port, options)
    await once(child, 'spawn')
    return server
  } finally {
    await logFile.close()
  }
}

function supervise(child: ChildProcess, port: number, options: ServerOptions): ServerProcess {
  let end: string | undefined
  let stopping: Promise<void> | undefined
  const { promise: exited, resolve } = Promise.withResolvers<string>()
  child.once('exit', (code, signal) => {
    end = signal === null ? `exit code ${code ?? 'unknown'}` : `signal ${signal}`
    resolve(end)
  })
  const ended = (): string | undefined => end
  const stopInBounds = async (): Promise<void> => {
    const isGone = (): boolean => end !== undefined
    for (const [signal, withinMs] of STOPS) {
      if (isGone()) return
      child.kill(signal)
      if (await waitUntil(isGone, withinMs, options.clock)) return
    }
    throw new Error(`the embedded database (process ${child.pid}) does not end`)
  }
  return {
    port,
    pid: child.pid ?? 0,
    ended,
    exited,
    stop: () => {
      stopping ??= stopInBounds()
      return stopping
    },
  }
}

const STOPS = [
  ['SIGINT', FAST_STOP_MS],
  ['SIGQUIT', IMMEDIATE_STOP_MS],
  ['SIGKILL', IMMEDIATE_STOP_MS],
] as const

function settings(isDurable: boolean): string[] {
  return [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'shared_buffers=128MB',
    // Without durability it serves a whole test run: many platforms, each with its pool.
    `max_connections=${isDurable ? 100 : 400}`,
    'timezone=UTC',
    'log_timezone=UTC',
    // The detail of an error repeats the values of the row, which may be a credential's hash.
    'log_error_verbosity=terse',
    'log_parameter_max_length_on_error=0',
    ...(isDurable ? [] : ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off']),
  ]
}

/** Asked of the kernel; somebody may take it before the server does, so callers try again. */
async function freeLoopbackPort(): Promise<number> {
  const probe = createServer()
  probe.listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return address.port
}
