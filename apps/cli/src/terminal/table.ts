/** @module Columns for people. */
import { printableLine } from './printable.ts'

const WIDEST_CELL = 60

function cell(value: string): string {
  const text = printableLine(value)
  const chars = [...text]
  return chars.length > WIDEST_CELL ? `${chars.slice(0, WIDEST_CELL - 1).join('')}…` : text
}

/** Lines of left-aligned columns, two spaces apart, the first row being the heading. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map(cell))
  const widths: number[] = []
  for (const row of cells) {
    row.forEach((value, column) => {
      widths[column] = Math.max(widths[column] ?? 0, [...value].length)
    })
  }
  return cells.map((row) =>
    row
      .map((value, column) => value + ' '.repeat((widths[column] ?? 0) - [...value].length))
      .join('  ')
      .trimEnd(),
  )
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** A byte count for people: `512 B`, `1.5 KiB`, `25.0 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit] ?? 'B'}`
}

/** A duration for people: `0.4 s`, `12 s`, `3 min 20 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10 && !Number.isInteger(seconds)) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const rest = whole % 60
  return `${Math.floor(whole / 60)} min${rest === 0 ? '' : ` ${rest} s`}`
}
