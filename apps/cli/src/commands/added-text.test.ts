import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addedText } from './added-text.ts'

describe('addedText', () => {
  it.each([
    ['nothing before', '', 'abc', 'abc', false],
    ['nothing new', 'abc', 'abc', '', false],
    ['an addition', 'abc\n', 'abc\ndef\n', 'def\n', false],
    ['a window that moved', 'line1\nline2\n', 'line2\nline3\n', 'line3\n', false],
    ['repeated lines', 'x\nx\nx\n', 'x\nx\nx\nx\n', 'x\n', false],
    ['a window that jumped', 'aaa\n', 'bbb\n', 'bbb\n', true],
    ['a log that was emptied', 'abc', '', '', false],
  ])('finds %s', (_what, before, next, text, hasGap) => {
    expect(addedText(before, next)).toEqual({ text, hasGap })
  })

  it('loses and repeats nothing whatever the window, when lines differ', () => {
    fc.assert(
      fc.property(
        fc.nat(40),
        fc.nat(40),
        fc.integer({ min: 1, max: 60 }),
        (oldCount, newCount, window) => {
          const log = Array.from({ length: oldCount + newCount }, (_, n) => `line ${n};`)
          const before = log.slice(0, oldCount).slice(-window).join('')
          const next = log.slice(-window).join('')
          fc.pre(newCount < window && oldCount > 0)
          expect(addedText(before, next).text).toBe(log.slice(oldCount).join(''))
        },
      ),
    )
  })
})
