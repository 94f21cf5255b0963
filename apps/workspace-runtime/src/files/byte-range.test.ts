import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseByteRange } from './byte-range.ts'

describe('parseByteRange', () => {
  it.each([
    ['bytes=0-0', 1, { first: 0, last: 0 }],
    ['bytes=0-499', 1000, { first: 0, last: 499 }],
    ['bytes=500-', 1000, { first: 500, last: 999 }],
    ['bytes=-500', 1000, { first: 500, last: 999 }],
    ['bytes=-5000', 1000, { first: 0, last: 999 }],
    ['bytes=0-5000', 1000, { first: 0, last: 999 }],
    ['bytes= 1-2 ', 10, { first: 1, last: 2 }],
    ['bytes=1000-', 1000, 'unsatisfiable'],
    ['bytes=-0', 1000, 'unsatisfiable'],
    ['bytes=5-', 0, 'unsatisfiable'],
    ['bytes=0-', 0, 'whole'],
    ['bytes=-5', 0, 'whole'],
    ['bytes=2-1', 10, 'whole'],
    ['bytes=0-1,3-4', 10, 'whole'],
    ['bytes=', 10, 'whole'],
    ['bytes=-', 10, 'whole'],
    ['bytes=1', 10, 'whole'],
    ['bytes=+1-2', 10, 'whole'],
    ['bytes=1-2x', 10, 'whole'],
    ['items=0-1', 10, 'whole'],
    [undefined, 10, 'whole'],
  ] as const)('takes %j of %i bytes as %j', (header, size, verdict) => {
    expect(parseByteRange(header, size)).toEqual(verdict)
  })

  it('never leaves the file, whatever is asked', () => {
    const digits = fc.oneof(fc.constant(''), fc.bigInt({ min: 0n, max: 10n ** 25n }).map(String))
    fc.assert(
      fc.property(digits, digits, fc.nat(1_000_000), (first, last, size) => {
        const verdict = parseByteRange(`bytes=${first}-${last}`, size)
        if (typeof verdict === 'string') return
        expect(verdict.first).toBeGreaterThanOrEqual(0)
        expect(verdict.first).toBeLessThanOrEqual(verdict.last)
        expect(verdict.last).toBeLessThan(size)
      }),
    )
  })

  it('does not throw on any text', () => {
    fc.assert(fc.property(fc.string(), fc.nat(), (text, size) => void parseByteRange(text, size)))
  })
})
