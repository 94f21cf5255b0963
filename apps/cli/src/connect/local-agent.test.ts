import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fittingText } from './local-agent.ts'
import { derivedUuid } from './send-answer.ts'

describe('fittingText', () => {
  it('leaves alone what fits', () => {
    expect(fittingText('a "quoted" line\n😀')).toBe('a "quoted" line\n😀')
  })

  it('is always something that can be stored', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const fitting = fittingText(text)
        expect(fitting.isWellFormed()).toBe(true)
        expect(fitting).not.toContain('\u0000')
      }),
    )
  })

  it.each(['x', '"', '\u0001', 'ä', '😀'])(
    'cuts a flood of %j below a megabyte of JSON',
    (piece) => {
      const fitting = fittingText(piece.repeat(1_100_000))
      expect(Buffer.byteLength(JSON.stringify(fitting))).toBeLessThan(910_000)
      expect(fitting).toMatch(/was cut here\]$/)
      expect(fitting.isWellFormed()).toBe(true)
    },
  )
})

describe('derivedUuid', () => {
  it('is the same for the same row in any spelling, and a UUID of version 8', () => {
    const row = '3f2a0000-0000-4000-8000-00000000000a'
    expect(derivedUuid(row)).toBe(derivedUuid(row.toUpperCase()))
    expect(derivedUuid(row)).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    expect(derivedUuid(row)).not.toBe(derivedUuid(row.replace('a', 'b')))
  })
})
