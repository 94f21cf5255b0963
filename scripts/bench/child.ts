/** @module Processes that the bench started, and only those: found by pid, ended by pid. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const END_MS = 20_000

export class Child {
  readonly #process: ChildProcess
  #output = ''

  constructor(command: string, args: readonly string[], options: SpawnOptions = {}) {
    this.#process = spawn(command, [...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (text) => {
        this.#output = (this.#output + String(text)).slice(-8_000)
      })
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** Polls until `probe` gives a value; rejects with the child's output when it ends before. */
  async until<T>(what: string, probe: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const deadline = performance.now() + 60_000
    for (;;) {
      const value = await probe()
      if (value !== undefined) return value
      if (this.#process.exitCode !== null || performance.now() > deadline) {
        throw new Error(`${what}: it did not happen\n${this.#output}`)
      }
      await delay(50)
    }
  }

  /** SIGTERM, and SIGKILL for what has not ended after 20 s. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    const cut = setTimeout(() => this.#process.kill('SIGKILL'), END_MS)
    await ended
    clearTimeout(cut)
  }
}

/** The descendant of `pid` whose command line contains `text`. */
export function findDescendant(pid: number, text: string): number | undefined {
  for (const entry of readdirSync('/proc')) {
    const candidate = Number(entry)
    if (!Number.isInteger(candidate) || !hasAncestor(candidate, pid)) continue
    if (readProc(candidate, 'cmdline').includes(text)) return candidate
  }
  return undefined
}

/**
 * Processor time so far, in seconds, of `pid` or, with `text`, of its descendants whose command line
 * contains it; ended ones count with the parent that waited for them (proc(5), stat).
 */
export function processorSeconds(pid: number, text?: string): number {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((candidate) => Number.isInteger(candidate))
    .filter((candidate) =>
      text === undefined
        ? candidate === pid
        : hasAncestor(candidate, pid) && readProc(candidate, 'cmdline').includes(text),
    )
  return pids.reduce((sum, each) => sum + ownProcessorSeconds(each), 0)
}

const TICKS_PER_SECOND = 100

function ownProcessorSeconds(pid: number): number {
  // The second field is a name in parentheses, which may hold spaces.
  const fields = readProc(pid, 'stat').split(') ').at(-1)?.split(' ') ?? []
  const [user, system, endedUser, endedSystem] = fields.slice(11, 15).map(Number)
  return (
    [user, system, endedUser, endedSystem].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) /
    TICKS_PER_SECOND
  )
}

function hasAncestor(pid: number, ancestor: number): boolean {
  for (let current = pid; current > 1; ) {
    const parent = Number(/^PPid:\s*(\d+)/m.exec(readProc(current, 'status'))?.[1] ?? 0)
    if (parent === ancestor) return true
    current = parent
  }
  return false
}

/** Starts a new peak at the present value (proc(5), clear_refs). */
export function resetPeakMemory(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** The peak of the resident set since `resetPeakMemory`, in bytes. */
export function peakMemoryBytes(pid: number): number {
  return Number(/^VmHWM:\s*(\d+) kB/m.exec(readProc(pid, 'status'))?.[1] ?? Number.NaN) * 1024
}

/** The resident set now, in bytes. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(readProc(pid, 'status'))?.[1] ?? Number.NaN) * 1024
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    // The process has ended between the listing and now: it is not the one looked for.
    return ''
  }
}
