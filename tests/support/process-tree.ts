/** @module The processes below a process, and whether they are gone: read from /proc. */
import { readdirSync, readFileSync } from 'node:fs'

export type KnownProcess = {
  readonly pid: number
  /** With the pid it names one process for ever. */
  readonly startTicks: string
  readonly command: string
}

/** `pid` and everything below it, whatever session or group it moved to. */
export function processTree(pid: number): KnownProcess[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
  const parents = new Map(all.map((each) => [each, statOf(each)?.parent]))
  const below = (ancestor: number): number[] =>
    all.filter((each) => parents.get(each) === ancestor).flatMap((each) => [each, ...below(each)])
  return [pid, ...below(pid)].flatMap((each) => {
    const stat = statOf(each)
    return stat === undefined
      ? []
      : [{ pid: each, startTicks: stat.startTicks, command: stat.command }]
  })
}

/**
 * The runtime of a box by what its record names: that one itself, or the first that is no keeper
 * below it, where a sandbox is around it.
 */
export function runtimePid(recorded: number): number {
  const runtime = processTree(recorded).find(({ command }) => !/^\S*bwrap /.test(command))
  if (runtime === undefined) throw new Error(`no runtime at or below process ${recorded}`)
  return runtime.pid
}

/** Those that still run; a zombie does not. */
export function stillRunning(processes: readonly KnownProcess[]): KnownProcess[] {
  return processes.filter(({ pid, startTicks }) => statOf(pid)?.startTicks === startTicks)
}

function statOf(pid: number): { parent: number; startTicks: string; command: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
    return { parent: Number(fields[1]), startTicks: fields[19] ?? '', command }
  } catch {
    // Gone while we looked.
    return undefined
  }
}
