import { describe, expect, it } from 'vitest'
import { formatBytes, formatSeconds, tableLines } from './table.ts'

describe('tableLines', () => {
  it('aligns columns and disarms cells', () => {
    const rows = [
      ['ID', 'NAME', 'STATUS'],
      ['1', '\u001b[31mlonger\u001b[0m name', 'online'],
    ]
    expect(tableLines(rows)).toEqual(['ID  NAME         STATUS', '1   longer name  online'])
  })

  it('cuts a cell that would push the others away', () => {
    const [, line] = tableLines([
      ['A', 'B'],
      ['x'.repeat(500), 'end'],
    ])
    expect(line).toMatch(/^x{59}… {2}end$/)
  })
})

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [26_214_400, '25.0 MiB'],
  ])('writes %i as %s', (bytes, expected) => {
    expect(formatBytes(bytes)).toBe(expected)
  })
})

describe('formatSeconds', () => {
  it.each([
    [0.42, '0.4 s'],
    [30, '30 s'],
    [59.9, '1 min'],
    [200, '3 min 20 s'],
  ])('writes %d as %s', (seconds, expected) => {
    expect(formatSeconds(seconds)).toBe(expected)
  })
})
