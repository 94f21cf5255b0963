/** @module Runs the command in this process, with real sockets and files and captured streams. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { runCli } from '../../../apps/cli/src/run-cli.ts'

export const WORKSPACE_ID = '3f2a0000-0000-4000-8000-000000000001'

class Captured extends Writable {
  readonly isTTY: boolean
  readonly #pieces: Buffer[] = []

  constructor(isTTY: boolean) {
    super()
    this.isTTY = isTTY
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#pieces.push(Buffer.from(chunk))
    done()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces)
  }
}

export type CliRun = {
  readonly exitCode: number
  readonly stdout: string
  readonly stdoutBytes: Buffer
  readonly stderr: string
  /** Milliseconds slept between attempts: no test waits for real. */
  readonly sleptMs: readonly number[]
}

export type CliOptions = {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly isTTY?: boolean
  readonly stdin?: string
  readonly projectRoot?: string
  readonly signal?: AbortSignal
  readonly alivePids?: readonly number[]
}

/** One invocation. The clock does not wait, but it moves on by what it was asked to sleep. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const stdout = new Captured(options.isTTY ?? false)
  const stderr = new Captured(options.isTTY ?? false)
  const sleptMs: number[] = []
  let skippedMs = 0
  const exitCode = await runCli({
    args,
    env: options.env ?? {},
    stdout,
    stderr,
    readStdin: () => Promise.resolve(options.stdin ?? ''),
    cwd: options.cwd ?? tmpdir(),
    pid: process.pid,
    projectRoot: options.projectRoot ?? join(tmpdir(), 'no-such-project'),
    isAlive: (pid) => options.alivePids?.includes(pid) ?? false,
    clock: {
      now: () => new Date(systemClock.now().getTime() + skippedMs),
      sleep: async (ms, signal) => {
        sleptMs.push(ms)
        skippedMs += ms
        await systemClock.sleep(1, signal)
      },
    },
    ids: systemIds,
    signal: options.signal ?? new AbortController().signal,
    lastResort: new Set(),
  })
  return {
    exitCode,
    stdout: stdout.bytes.toString('utf8'),
    stdoutBytes: stdout.bytes,
    stderr: stderr.bytes.toString('utf8'),
    sleptMs,
  }
}

/** A folder of its own for a test, and how to remove it. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'atrium-cli-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
