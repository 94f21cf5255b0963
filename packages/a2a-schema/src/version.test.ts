import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { majorMinor, readVersion } from './version.ts'

describe('readVersion', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['  ', undefined],
    ['1.0', '1.0'],
    ['1.0.0', '1.0'],
    ['1.0.1', '1.0'],
    ['v1.0', '1.0'],
    ['V1.0', '1.0'],
    [' 1.0 ', '1.0'],
    ['0.3', '0.3'],
    ['0.3.0', '0.3'],
    ['0.2', '0.3'],
    ['0.2.6', '0.3'],
  ])('takes %j for %j', (header, dialect) => {
    expect(readVersion(header)).toEqual({ ok: true, dialect })
  })

  it.each(['2.0', '0.1', '1', '1.1', '1.0, 0.3', '1.0-beta', 'latest', '1.0.0.0.0', 'vv1.0', '.'])(
    'refuses %j',
    (header) => {
      expect(readVersion(header)).toEqual({ ok: false })
    },
  )

  it('never throws, and reduces what it reduced to itself', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        readVersion(text)
        expect(majorMinor(majorMinor(text))).toBe(majorMinor(text))
      }),
    )
  })
})
