/** @module A machine of the soak: one process, which is asked nothing but whether it lives. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type {
  Machine,
  MachineInput,
  MachineState,
} from '../../tests/support/control-plane/machine.ts'
import { processesMentioning } from '../../tests/support/process-figures.ts'

/** The one that registers, beats and says who it is. */
export const QUIET_AGENT = join(import.meta.dirname, 'agent.mjs')
/** Handed down to whatever it starts: by it every process of this soak is found. */
const MARK = 'ATRIUM_SOAK'
/** The smallest heap that registers, beats and answers. */
const NODE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=16']

export type SoakRun = {
  /** Also the folder in which an agent may keep what it has to. */
  readonly mark: string
  readonly beatMs: number
  /** The program that every workspace is. */
  readonly agent: string
  /** Of whom the platforms are. */
  readonly orgId: string
}

export class SoakMachine implements Machine {
  readonly instanceId: string
  readonly workspaceId: string
  readonly address: string
  readonly env: Readonly<Record<string, string>>
  readonly #child: ChildProcess
  #isTerminated = false

  constructor(input: MachineInput, run: SoakRun) {
    this.instanceId = input.instanceId
    this.workspaceId = input.workspaceId
    this.address = input.address
    this.env = input.env
    this.#child = spawn(process.execPath, [...NODE_FLAGS, run.agent], {
      // Its input ends with us.
      stdio: ['pipe', 'ignore', 'ignore'],
      env: {
        ...input.env,
        SOAK_ADDRESS: input.address,
        SOAK_BEAT_MS: String(run.beatMs),
        SOAK_FOLDER: run.mark,
        SOAK_ORG_ID: run.orgId,
        [MARK]: run.mark,
      },
    })
    // Broken when it is killed: that is what it is for.
    this.#child.stdin?.on('error', () => undefined)
  }

  get state(): MachineState {
    if (this.#isTerminated) return 'terminated'
    return this.#hasEnded ? 'stopped' : 'running'
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  pids(): readonly number[] {
    return this.#hasEnded || this.#child.pid === undefined ? [] : [this.#child.pid]
  }

  console(): string {
    return ''
  }

  async kill(): Promise<void> {
    if (this.#hasEnded) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  async terminate(): Promise<void> {
    this.#isTerminated = true
    await this.kill()
  }
}

/** Every process of a machine of this soak that runs, whoever believes to have ended it. */
export function processesOf({ mark }: SoakRun): readonly number[] {
  return processesMentioning(`${MARK}=${mark}\0`)
}

/** The share of the machine's memory that is this process's own, in bytes. */
export function proportionalBytes(pid: number): number {
  const line = /^Pss:\s*(\d+) kB/m.exec(memoryOf(pid))
  return Number(line?.[1] ?? 0) * 1024
}

function memoryOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  } catch {
    // It has ended, or is somebody else's.
    return ''
  }
}
