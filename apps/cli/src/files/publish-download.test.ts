import { describe, expect, it } from 'vitest'
import { numberedName } from './publish-download.ts'

describe('numberedName', () => {
  it.each([
    ['report.md', 0, 'report.md'],
    ['report.md', 1, 'report (1).md'],
    ['archive.tar.gz', 2, 'archive.tar (2).gz'],
    ['README', 1, 'README (1)'],
    ['.hidden', 1, '.hidden (1)'],
  ])('numbers %s with %i as %s', (name, number, expected) => {
    expect(numberedName(name, number)).toBe(expected)
  })
})
