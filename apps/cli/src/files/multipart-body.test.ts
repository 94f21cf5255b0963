import { describe, expect, it } from 'vitest'
import { quotedFileName } from './multipart-body.ts'

describe('quotedFileName', () => {
  it('escapes what would end the header, and nothing else', () => {
    expect(quotedFileName('a"b\r\nX-Evil: 1;名.txt')).toBe('"a%22b%0D%0AX-Evil: 1;名.txt"')
  })

  it('replaces a lone surrogate, which has no UTF-8 form', () => {
    expect(quotedFileName('a\ud800')).toBe('"a\ufffd"')
  })
})
