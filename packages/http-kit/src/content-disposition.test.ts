import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attachmentDisposition } from './content-disposition.ts'

describe('attachmentDisposition', () => {
  it.each([
    ['report.pdf', 'report.pdf', 'report.pdf'],
    ['two words.txt', 'two words.txt', 'two%20words.txt'],
    ['résumé.pdf', 'r_sum_.pdf', 'r%C3%A9sum%C3%A9.pdf'],
    ['報告書.pdf', '___.pdf', '%E5%A0%B1%E5%91%8A%E6%9B%B8.pdf'],
    ['say "hi".txt', 'say \\"hi\\".txt', 'say%20%22hi%22.txt'],
    ['back\\slash', 'back\\\\slash', 'back%5Cslash'],
    ['a\r\nSet-Cookie: x=1', 'aSet-Cookie: x=1', 'aSet-Cookie%3A%20x%3D1'],
    ['nul\0tab\tdel\u007f', 'nultabdel', 'nultabdel'],
    ['a;b=c, d', 'a;b=c, d', 'a%3Bb%3Dc%2C%20d'],
    ["it's (1)*!", "it's (1)*!", 'it%27s%20%281%29%2A%21'],
    ['a/b', 'a/b', 'a%2Fb'],
    ['100%41.txt', '100%41.txt', '100%2541.txt'],
    ['\u{1f600}.png', '_.png', '%F0%9F%98%80.png'],
    ['\u0085next', '_next', '%C2%85next'],
    ['lone\ud800', 'lone_', 'lone%EF%BF%BD'],
    ['', '', ''],
  ])('of %j', (name, quoted, encoded) => {
    expect(attachmentDisposition(name)).toBe(
      `attachment; filename="${quoted}"; filename*=UTF-8''${encoded}`,
    )
  })

  describe('for any name', () => {
    const anyName = fc.string({ unit: 'binary', maxLength: 100 })

    it('is a header that Node sends', () => {
      const response = new ServerResponse(new IncomingMessage(new Socket()))
      fc.assert(
        fc.property(anyName, (name) => {
          response.setHeader('Content-Disposition', attachmentDisposition(name))
        }),
      )
    })

    it('has one quoted string and carries the whole name in the encoded form', () => {
      const grammar =
        /^attachment; filename="(?:[ !#-[\]-~]|\\["\\])*"; filename\*=UTF-8''((?:[\w.~-]|%[0-9A-F]{2})*)$/
      fc.assert(
        fc.property(anyName, (name) => {
          const encoded = grammar.exec(attachmentDisposition(name))?.[1]
          const visible = [...name.toWellFormed()]
            .filter((c) => c >= ' ' && c !== '\u007f')
            .join('')
          expect(decodeURIComponent(encoded ?? 'no match')).toBe(visible)
        }),
      )
    })
  })
})
