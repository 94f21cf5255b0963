import { describe, expect, it } from 'vitest'
import {
  folderLines,
  type LineStyle,
  type ListedEntry,
  minuteOf,
  modeString,
} from './folder-lines.ts'

const WHEN = new Date(2026, 10, 7, 3, 5)

function entry(name: string, rest: Partial<ListedEntry> = {}): ListedEntry {
  return {
    name,
    nameBytes: Buffer.from(name),
    type: 'file',
    size: 12,
    mtime: WHEN.getTime() / 1000,
    mode: 0o644,
    ...rest,
  }
}

const PLAIN: LineStyle = {
  isLong: false,
  isExact: false,
  marks: 'none',
  isForTerminal: false,
  end: '\n',
}
const lines = (entries: readonly ListedEntry[], style: Partial<LineStyle> = {}) =>
  folderLines(entries, { ...PLAIN, ...style }).toString('utf8')

describe('modeString', () => {
  it.each([
    ['dir', 0o755, 'drwxr-xr-x'],
    ['file', 0o640, '-rw-r-----'],
    ['symlink', 0o777, 'lrwxrwxrwx'],
    ['other', 0, '?---------'],
    ['dir', 0o1777, 'drwxrwxrwt'],
    ['dir', 0o1776, 'drwxrwxrwT'],
    ['file', 0o4755, '-rwsr-xr-x'],
    ['file', 0o6644, '-rwSr-Sr--'],
    ['file', 0o2755, '-rwxr-sr-x'],
  ] as const)('writes a %s of %i as %s', (type, mode, expected) => {
    expect(modeString(type, mode)).toBe(expected)
  })
})

describe('minuteOf', () => {
  it('writes the time of here, with two digits everywhere', () => {
    expect(minuteOf(WHEN)).toBe('2026-11-07 03:05')
  })
})

describe('folderLines', () => {
  const KINDS = [entry('a'), entry('d', { type: 'dir' }), entry('l', { type: 'symlink' })]

  it('marks what it is told to', () => {
    expect(lines(KINDS)).toBe('a\nd\nl\n')
    expect(lines(KINDS, { marks: 'folders' })).toBe('a\nd/\nl\n')
    expect(lines(KINDS, { marks: 'all' })).toBe('a\nd/\nl@\n')
  })

  it('aligns sizes to the right, for people or exactly', () => {
    const entries = [entry('a', { size: 5 }), entry('b', { size: 1_572_864, mode: 0o755 })]
    expect(lines(entries, { isLong: true })).toBe(
      [
        '-rw-r--r--      5 B  2026-11-07 03:05  a\n',
        '-rwxr-xr-x  1.5 MiB  2026-11-07 03:05  b\n',
      ].join(''),
    )
    expect(lines(entries, { isLong: true, isExact: true })).toContain('  1572864  ')
  })

  it('shows a terminal nothing that it would obey', () => {
    const hostile = entry('\u001b[2J\u001b]0;owned\u0007\r\nx\u202egnp\u009b')
    expect(lines([hostile], { isForTerminal: true })).toBe('?[2J?]0;owned???x?gnp?\n')
  })

  it('keeps a line one name in a pipe, and the bytes otherwise', () => {
    const bytes = Buffer.from([0x61, 0x0a, 0xff, 0x1b])
    const odd = entry('a\n\ufffd\u001b', { nameBytes: bytes })
    expect(folderLines([odd], PLAIN)).toEqual(Buffer.from([0x61, 0x3f, 0xff, 0x1b, 0x0a]))
    expect(folderLines([odd], { ...PLAIN, end: '\0' })).toEqual(
      Buffer.concat([bytes, Buffer.of(0)]),
    )
  })

  it('writes nothing for nothing', () => {
    expect(lines([], { isLong: true })).toBe('')
  })
})
