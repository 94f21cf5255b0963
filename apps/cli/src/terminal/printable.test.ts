import { describe, expect, it } from 'vitest'
import { printable, printableJson, printableLine, printableName } from './printable.ts'

const ESC = '\u001b'

describe('printable', () => {
  it.each([
    ['colours', `${ESC}[31mred${ESC}[0m`, 'red'],
    ['a cleared screen', `${ESC}[2J${ESC}[Hgone`, 'gone'],
    ['a window title', `${ESC}]0;owned\u0007text`, 'text'],
    ['a title with the string terminator', `${ESC}]2;owned${ESC}\\text`, 'text'],
    ['a clipboard write', `a${ESC}]52;c;ZXZpbA==\u0007b`, 'ab'],
    ['a device control string', `a${ESC}P1$r0m${ESC}\\b`, 'ab'],
    ['an unfinished title', `a${ESC}]0;rest of the line\nnext`, 'a\nnext'],
    ['eight-bit control sequences', 'a\u009b31mb\u009d0;t\u009cc', 'abc'],
    ['a full reset', `${ESC}cafter`, 'after'],
    ['a lone escape at the end', `text${ESC}`, 'text'],
    ['backspaces and carriage returns', 'safe\b\b\b\bevil\rover', 'safeevilover'],
    ['bells and NUL', '\u0007a\u0000b', 'ab'],
    ['bidirectional overrides', 'gpj\u202eexe.\u2066x\u2069', 'gpjexe.x'],
  ])('removes %s', (_what, text, expected) => {
    expect(printable(text)).toBe(expected)
  })

  it('keeps what text is made of', () => {
    const text = 'Umlaute äöü, 報告書, مرحبا, 👩‍👩‍👧\n\tindented\n'
    expect(printable(text)).toBe(text)
  })

  it('turns CR LF into LF', () => {
    expect(printable('a\r\nb')).toBe('a\nb')
  })
})

describe('printableLine', () => {
  it('puts everything on one line', () => {
    expect(printableLine(' name\nwith\tbreaks\u2028in it ')).toBe('name with breaks in it')
  })
})

describe('printableName', () => {
  it('writes ? for each character that a terminal would obey', () => {
    expect(printableName(`${ESC}[2Ja\u009b\u0007\n\u202e\u200fb é.txt`)).toBe('?[2Ja?????b é.txt')
  })
})

describe('printableJson', () => {
  it('says the same, in characters that no terminal obeys', () => {
    const value = { 'a\u009b2J': `${ESC}]0;x\u0007\u007f\u202e\u2066é` }
    const json = printableJson(JSON.stringify(value))
    expect(JSON.parse(json)).toEqual(value)
    expect(json).toBe(String.raw`{"a\u009b2J":"\u001b]0;x\u0007\u007f\u202e\u2066é"}`)
  })
})
