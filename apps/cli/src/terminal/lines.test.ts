import { describe, expect, it } from 'vitest'
import { firstLines, lastLines } from './lines.ts'

describe('lastLines', () => {
  it.each([
    ['a\nb\nc\n', 2, 'b\nc\n'],
    ['a\nb\nc', 2, 'b\nc'],
    ['a\n', 5, 'a\n'],
    ['', 3, ''],
  ])('takes of %j the last %i', (text, count, expected) => {
    expect(lastLines(text, count)).toBe(expected)
  })
})

describe('firstLines', () => {
  it.each([
    ['a\nb\nc\n', 2, 'a\nb\n', 2],
    ['a\nb', 2, 'a\nb', 1],
    ['a\nb', 1, 'a\n', 1],
    ['', 3, '', 0],
    ['\n\n', 1, '\n', 1],
  ])('takes of %j the first %i', (text, count, expected, finished) => {
    expect(firstLines(text, count)).toEqual({ text: expected, finished })
  })
})
