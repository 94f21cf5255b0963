import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toStandardBase64 } from './base64.ts'

describe('toStandardBase64', () => {
  it.each([
    ['', ''],
    ['QQ==', 'QQ=='],
    ['QQ', 'QQ=='],
    ['QUI=', 'QUI='],
    ['QUI', 'QUI='],
    ['QUJD', 'QUJD'],
    ['-_-_', '+/+/'],
    ['+/+/', '+/+/'],
    ['_w', '/w=='],
  ])('makes of %j %j', (text, standard) => {
    expect(toStandardBase64(text)).toBe(standard)
  })

  it.each(['Q', 'QQ=', 'QUI==', '=', '==', 'QUJD=', 'QQ===', 'Q Q=', 'QQ==\n', 'Qü==', 'a=b='])(
    'refuses %j',
    (text) => {
      expect(toStandardBase64(text)).toBeUndefined()
    },
  )

  it('takes what anybody encodes, for the same bytes', () => {
    const property = fc.property(fc.uint8Array(), (bytes) => {
      const standard = Buffer.from(bytes).toString('base64')
      expect(toStandardBase64(standard)).toBe(standard)
      expect(toStandardBase64(Buffer.from(bytes).toString('base64url'))).toBe(standard)
    })
    fc.assert(property)
  })

  it('reads megabytes', () => {
    const large = 'QUJD'.repeat(2_000_000)
    expect(toStandardBase64(large)).toBe(large)
    expect(toStandardBase64(`${large}!`)).toBeUndefined()
  })
})
