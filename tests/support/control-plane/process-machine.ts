/** @module A machine that is a real runtime in a child process, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { eventually } from '../eventually.ts'
import { processesMentioning } from '../process-figures.ts'
import { runLogPath } from '../secret-ledger.ts'
import type { Machine, MachineInput, MachineState } from './machine.ts'

const RUNTIME = resolve(import.meta.dirname, '../../../apps/workspace-runtime/src/main.ts')

/** Handed down by the runtime to whatever it starts: by it the whole machine is found. */
const MARK = 'ATRIUM_BOX'

export class ProcessMachine implements Machine {
  readonly instanceId: string
  readonly workspaceId: string
  readonly address: string
  readonly env: Readonly<Record<string, string>>
  readonly #folder = mkdtempSync(join(tmpdir(), 'atrium-machine-'))
  readonly #logFile = runLogPath('machine')
  readonly #child: ChildProcess
  readonly #ready = Promise.withResolvers<{ readonly port: number }>()
  #isTerminated = false

  /** `entry` is another program than the runtime; with `ipc` it says on which port it is ready. */
  constructor(
    input: MachineInput,
    { entry = RUNTIME, ipc = false }: { readonly entry?: string; readonly ipc?: boolean } = {},
  ) {
    this.instanceId = input.instanceId
    this.workspaceId = input.workspaceId
    this.address = input.address
    this.env = input.env
    for (const root of ['configs', 'workspace', 'home', 'plugins']) {
      mkdirSync(join(this.#folder, root), { mode: 0o700 })
    }
    this.#child = spawn(process.execPath, ['--max-semi-space-size=1', entry], {
      cwd: this.#folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
      env: {
        ...input.env,
        // What an image would have: its roots, and the one interface it listens on.
        PATH: process.env['PATH'] ?? '',
        LANG: 'C.UTF-8',
        HOME: join(this.#folder, 'home'),
        CONFIGS_DIR: join(this.#folder, 'configs'),
        ATRIUM_ROOTS_DIR: this.#folder,
        ATRIUM_LISTEN_HOST: input.address,
        PORT: '0',
        [MARK]: this.#folder,
      },
    })
    const log = createWriteStream(this.#logFile)
    this.#child.stdout?.pipe(log, { end: false })
    this.#child.stderr?.pipe(log, { end: false })
    this.#child.once('close', () => log.end())
    this.#child.once('message', (message) => this.#ready.resolve(message as { port: number }))
  }

  /** Resolves with the port of a program that says it. */
  async readyPort(): Promise<number> {
    return (await this.#ready.promise).port
  }

  get state(): MachineState {
    if (this.#isTerminated) return 'terminated'
    return this.#child.exitCode === null && this.#child.signalCode === null ? 'running' : 'stopped'
  }

  pids(): readonly number[] {
    return processesMentioning(`${MARK}=${this.#folder}\0`)
  }

  console(): string {
    return readFileSync(this.#logFile, 'utf8')
  }

  async kill(): Promise<void> {
    // A machine that fails takes everything on it along.
    await eventually(() => {
      const pids = this.pids()
      for (const pid of pids) killOne(pid)
      return pids.length === 0 && this.state !== 'running'
    })
  }

  async terminate(): Promise<void> {
    this.#isTerminated = true
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended between the listing and now.
  }
}
