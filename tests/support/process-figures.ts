/** @module What a running process costs, read from /proc: memory, bytes read, open descriptors. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { isRunning, startedWith } from './process-probe.ts'

/** Resident memory now, in bytes. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, 'VmRSS')
}

/** The most resident memory since the start of the process or the last `resetPeak`, in bytes. */
export function peakResidentBytes(pid: number): number {
  return statusBytes(pid, 'VmHWM')
}

/** From now on the peak is counted anew (proc(5): 5 written to clear_refs). */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** Bytes that the process took with read calls of any kind, from files as well as from sockets. */
export function bytesRead(pid: number): number {
  return numberAfter(readFileSync(`/proc/${pid}/io`, 'utf8'), /^rchar: (\d+)$/m)
}

/** How many descriptors the process holds. */
export function descriptorCount(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Every running process but this one whose environment or command line has `text` in it. */
export function processesMentioning(text: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && isRunning(pid) && mentions(pid, text))
}

function mentions(pid: number, text: string): boolean {
  try {
    return startedWith(pid).includes(text)
  } catch {
    // It ended while we were looking, and then it is not there.
    return false
  }
}

function statusBytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return numberAfter(status, new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm')) * 1024
}

function numberAfter(text: string, pattern: RegExp): number {
  const digits = pattern.exec(text)?.[1]
  if (digits === undefined) throw new Error(`/proc says nothing about ${pattern.source}`)
  return Number(digits)
}
