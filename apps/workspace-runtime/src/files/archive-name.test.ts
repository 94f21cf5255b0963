import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { archiveName, zipName } from './archive-name.ts'
import { bytesOf } from './descriptor.ts'

describe('archiveName', () => {
  it.each([
    ['plain.txt', 'plain.txt'],
    [bytesOf('日本語'), '日本語'],
    [bytesOf('\uFEFFmark'), '\uFEFFmark'],
    ['a%FF', 'a%FF'],
    ['a\xff', 'a%FF'],
    ['50%\xfe', '50%25%FE'],
    // Cut in the middle of a character.
    [bytesOf('é').slice(0, 1), '%C3'],
  ])('spells %j as %j', (name, spelled) => {
    expect(archiveName(name)).toBe(spelled)
  })

  it('never makes one name of two that are not UTF-8', () => {
    const bytes = fc
      .uint8Array({ minLength: 1, maxLength: 12 })
      .map((array) => Buffer.from(array).toString('latin1'))
      .filter((name) => bytesOf(Buffer.from(name, 'latin1').toString()) !== name)
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        expect(archiveName(one) === archiveName(other)).toBe(one === other)
      }),
    )
  })

  it('leaves every name that is UTF-8 as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        expect(archiveName(bytesOf(name))).toBe(name)
      }),
    )
  })
})

describe('zipName', () => {
  it.each([
    ['top/a.txt', 'top/a.txt'],
    ['top/..\\..\\x', 'top/..%5C..%5Cx'],
    ['C:/x', 'C%3A/x'],
    ['top/12:30', 'top/12:30'],
  ])('spells %j as %j', (path, spelled) => {
    expect(zipName(path)).toBe(spelled)
  })
})
