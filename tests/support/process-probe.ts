/** @module What Linux says about processes, read by tests without the code under test. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Whether the process runs; a zombie does not. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^[ZX] /.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

/** Children of this process, zombies included: a leak shows here. */
export function ownChildren(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(process.pid)
      } catch {
        return false
      }
    })
}

/** Open descriptors of this process that are files, sockets or pipes, by what they are. */
export function ownDescriptors(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      // The descriptor of this very listing.
      return target === `/proc/${process.pid}/fd` ? [] : [target.replace(/\[\d+\]/, '')]
    } catch {
      return []
    }
  })
}

/** Everything the process was started with, as one text. */
export function startedWith(pid: number): string {
  const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8')
  return `${read('environ')}\0${read('cmdline')}`
}

/** The program and its arguments. */
export function argumentsOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
}
