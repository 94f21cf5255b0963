/** @module How `atrium files ls` writes the entries of a folder: the habits of `ls`. */
import type { EntryType } from '@atrium/runtime-contract/file-inspection'
import { printableName } from '../terminal/printable.ts'
import { formatBytes } from '../terminal/table.ts'

/** An entry as it is shown; `nameBytes` is what it is called, `name` what of that is text. */
export type ListedEntry = {
  readonly name: string
  readonly nameBytes: Buffer
  readonly type: EntryType
  readonly size: number
  readonly mtime: number
  readonly mode: number
}

export type LineStyle = {
  /** Mode, size and time in front of the name. */
  readonly isLong: boolean
  /** Sizes in bytes instead of `1.5 KiB`. */
  readonly isExact: boolean
  readonly marks: 'none' | 'folders' | 'all'
  /** Whether a terminal shows it: names lose what a terminal would obey. */
  readonly isForTerminal: boolean
  /** What ends a name: a line feed, or NUL for names of every kind. */
  readonly end: '\n' | '\0'
}

const LETTERS: Readonly<Record<EntryType, string>> = {
  dir: 'd',
  symlink: 'l',
  file: '-',
  other: '?',
}

/** `drwxr-xr-x`, as POSIX has `ls -l` write it; `?` for what is neither file, folder nor link. */
export function modeString(type: EntryType, mode: number): string {
  const bit = (mask: number, letter: string) => ((mode & mask) === 0 ? '-' : letter)
  const special = (mask: number, execute: number, letter: string) => {
    if ((mode & mask) === 0) return bit(execute, 'x')
    return (mode & execute) === 0 ? letter.toUpperCase() : letter
  }
  return [
    LETTERS[type],
    bit(0o400, 'r') + bit(0o200, 'w') + special(0o4000, 0o100, 's'),
    bit(0o040, 'r') + bit(0o020, 'w') + special(0o2000, 0o010, 's'),
    bit(0o004, 'r') + bit(0o002, 'w') + special(0o1000, 0o001, 't'),
  ].join('')
}

/** `2026-11-27 12:19`, in the time zone of whoever reads it. */
export function minuteOf(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

function markOf({ type }: ListedEntry, marks: LineStyle['marks']): string {
  if (type === 'dir' && marks !== 'none') return '/'
  return type === 'symlink' && marks === 'all' ? '@' : ''
}

/** Into a pipe go the bytes; only a line feed does not, so that a line is always one name. */
function shownName(entry: ListedEntry, style: LineStyle): Buffer {
  if (style.isForTerminal) return Buffer.from(printableName(entry.name))
  if (style.end === '\0') return entry.nameBytes
  return Buffer.from(entry.nameBytes.map((byte) => (byte === 0x0a ? 0x3f : byte)))
}

/** One page; its columns are as wide as its own entries need, since the next are not known yet. */
export function folderLines(entries: readonly ListedEntry[], style: LineStyle): Buffer {
  const sizes = entries.map(({ size }) => (style.isExact ? String(size) : formatBytes(size)))
  const sizeWidth = Math.max(0, ...sizes.map((size) => size.length))
  const pieces = entries.flatMap((entry, index) => {
    const size = (sizes[index] ?? '').padStart(sizeWidth)
    const time = minuteOf(new Date(entry.mtime * 1000))
    const front = style.isLong ? `${modeString(entry.type, entry.mode)}  ${size}  ${time}  ` : ''
    const mark = markOf(entry, style.marks)
    return [Buffer.from(front), shownName(entry, style), Buffer.from(mark + style.end)]
  })
  return Buffer.concat(pieces)
}
