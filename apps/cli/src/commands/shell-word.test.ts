import { describe, expect, it } from 'vitest'
import { shellWord } from './shell-word.ts'

describe('shellWord', () => {
  it.each([
    ['workspace:/workspace/a-b_c.txt', 'workspace:/workspace/a-b_c.txt'],
    ['/workspace/$(reboot).txt', "'/workspace/$(reboot).txt'"],
    ["it's", "'it'\\''s'"],
    ['', "''"],
    ['a b', "'a b'"],
  ])('writes %j as %s', (value, expected) => {
    expect(shellWord(value)).toBe(expected)
  })
})
