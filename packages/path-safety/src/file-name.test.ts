import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_NAME_BYTES, safeFileName, storedName } from './file-name.ts'

const byteLength = (text: string): number => new TextEncoder().encode(text).byteLength

const HEX = '0123456789abcdef0123456789abcdef'
const FAMILY = '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466}'

describe('safeFileName', () => {
  it.each([
    // contract/runtime 2.4, as the rules of design/path-safety 5 change it
    ['report.pdf', 'report.pdf'],
    ['../../../etc/passwd', 'passwd'],
    ['foo/', 'file'],
    ['C:\\a\\b.txt', 'b.txt'],
    ['file with spaces & symbols!.png', 'file_with_spaces___symbols_.png'],
    ['名前.txt', '名前.txt'],
    ['..hidden', 'hidden'],
    ['.env', 'env'],
    ['-rf', 'rf'],
    ['a..b.txt', 'a..b.txt'],
    ['.....', 'file'],
    ['x ', 'x_'],
    ['', 'file'],
    [undefined, 'file'],
    ['.', 'file'],
    ['..', 'file'],
    ['a\r\n\0"b.txt', 'a____b.txt'],
    // named by the requirements
    ['weird;$name`.txt', 'weird__name_.txt'],
    ['報告書.pdf', '報告書.pdf'],
    ['../../etc/passwd', 'passwd'],
    // scripts
    ['résumé.pdf', 'résumé.pdf'],
    ['re\u0301sume\u0301.pdf', 'résumé.pdf'],
    ['तालिका.csv', 'तालिका.csv'],
    ['٢٠٢٦-تقرير.pdf', '٢٠٢٦-تقرير.pdf'],
    ['二〇二六年.txt', '二〇二六年.txt'],
    ['Ωmega².txt', 'Ωmega².txt'],
    // invisible
    ['invoice\u202efdp.exe', 'invoicefdp.exe'],
    ['\u200f\u061ca\u200b\u2060\ufeff\u00adb.txt', 'ab.txt'],
    ['می\u200cخواهم.txt', 'میخواهم.txt'],
    ['a\u034f\u0301\u180e\u3164\u115f\ufe0f\u{e0041}.txt', 'á.txt'],
    ['a\ufff9b\ufffb.txt', 'ab.txt'],
    ['\u200b', 'file'],
    ['.\u200b.\u200b-x', 'x'],
    // separators and shells
    ['a/b\\c', 'c'],
    ['a\\b/c', 'c'],
    ['a\u2215b\u29f8c\uff0fd', 'a_b_c_d'],
    ['..%2f..%2fetc', '_2f.._2fetc'],
    ['--no-preserve-root', 'no-preserve-root'],
    ['~/x', 'x'],
    ['~x', '_x'],
    ['$(id).sh', '__id_.sh'],
    ['a\u2028b\u2029c\u0085d', 'a_b_c_d'],
    ['\u001b]0;owned\u0007.txt', '__0_owned_.txt'],
    // Windows
    ['CON', '_CON'],
    ['con.tar.gz', '_con.tar.gz'],
    ['Aux.txt', '_Aux.txt'],
    ['COM0', '_COM0'],
    ['com9.log', '_com9.log'],
    ['COM¹', '_COM¹'],
    ['LPT³.txt', '_LPT³.txt'],
    ['.con', '_con'],
    ['C\u200bON', '_CON'],
    ['CONIN$', 'CONIN_'],
    ['CONOUT$.txt', 'CONOUT_.txt'],
    ['console.txt', 'console.txt'],
    ['COM10', 'COM10'],
    ['name.', 'name'],
    ['name. . .', 'name._._'],
    ['a:stream', 'a_stream'],
    // not Unicode text
    ['\ud800', '_'],
    ['a\udfffb\ud83d.txt', 'a_b_.txt'],
    [`${FAMILY}.png`, '____.png'],
  ])('%j becomes %j', (raw, safe) => {
    expect(safeFileName(raw)).toBe(safe)
  })

  describe('cuts', () => {
    it('to 200 bytes, keeping the extension', () => {
      expect(safeFileName(`${'a'.repeat(300)}.png`)).toBe(`${'a'.repeat(196)}.png`)
    })

    it('leaves exactly 200 bytes alone', () => {
      const name = `${'a'.repeat(196)}.png`
      expect(safeFileName(name)).toBe(name)
    })

    it('whole when what follows the last dot is too long for an extension', () => {
      const cut = safeFileName(`${'a'.repeat(190)}.${'e'.repeat(17)}`)
      expect(cut).toBe(`${'a'.repeat(190)}.${'e'.repeat(9)}`)
    })

    it('between characters, never inside one', () => {
      expect(safeFileName(`${'字'.repeat(100)}.txt`)).toBe(`${'字'.repeat(65)}.txt`)
    })

    it('between graphemes, never between a letter and its marks', () => {
      // Devanagari "ni" is 6 bytes in two code points; 196 bytes would end after a bare consonant.
      const cut = safeFileName(`${'नि'.repeat(60)}.txt`)
      expect(cut).toBe(`${'नि'.repeat(32)}.txt`)
    })

    it('inside a grapheme that alone is too long', () => {
      const cut = safeFileName(`${'x'}${'\u0300\u0316'.repeat(200)}.txt`)
      expect(byteLength(cut)).toBeLessThanOrEqual(MAX_NAME_BYTES)
      expect(cut.startsWith('x')).toBe(true)
      expect(cut.endsWith('.txt')).toBe(true)
    })

    it('never down to a device name', () => {
      const hugeCluster = `क${'\u0301'.repeat(150)}`
      expect(safeFileName(`CON${hugeCluster}.txt`)).toBe('_CON.txt')
    })

    it('with the device guard inside the limit', () => {
      expect(safeFileName(`CON.${'a'.repeat(196)}`)).toBe(`_CON.${'a'.repeat(195)}`)
    })

    it('without leaving a trailing dot', () => {
      expect(safeFileName(`${'a'.repeat(199)}.${'字'.repeat(20)}`)).toBe('a'.repeat(199))
    })

    it('300 bytes of emoji families to one underscore for each member', () => {
      expect(safeFileName(FAMILY.repeat(12))).toBe('_'.repeat(48))
    })
  })

  describe('for any input', () => {
    const hostile = fc.constantFrom(
      ...['/', '\\', '.', '..', '-', ' ', '\0', '\r\n', '\u200b', '\u200d', '\u202e', '\u0301'],
      ...['\ud800', '\udfff', FAMILY, 'CON', 'com¹', 'NUL', '.txt', '字', 'e', '\u034f', '\u1100'],
      ...[
        '\u0316'.repeat(80),
        'a'.repeat(90),
        '.tar.gz',
        '\u0d4e',
        '\u212b',
        '\u{1d15e}',
        '\ufb1d',
      ],
    )
    const anyName = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: 'grapheme', maxLength: 120 }),
      fc.array(hostile, { maxLength: 14 }).map((pieces) => pieces.join('')),
    )

    it('gives a name that is safe everywhere', () => {
      const property = fc.property(anyName, (raw) => {
        const name = safeFileName(raw)
        expect(byteLength(name)).toBeGreaterThan(0)
        expect(byteLength(name)).toBeLessThanOrEqual(200)
        expect(name.isWellFormed()).toBe(true)
        expect(name).toBe(name.normalize('NFC'))
        expect(name).toMatch(/^[\p{L}\p{M}\p{N}._-]+$/u)
        expect(name).not.toMatch(/[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}/\\]/u)
        expect(name).not.toMatch(/^[.-]|\.$/)
        expect(name).not.toMatch(/^(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])(?:\.|$)/i)
      })
      fc.assert(property, { numRuns: 5_000 })
    })

    it('is idempotent', () => {
      const property = fc.property(anyName, (raw) => {
        const once = safeFileName(raw)
        expect(safeFileName(once)).toBe(once)
      })
      fc.assert(property, { numRuns: 5_000 })
    })

    it('keeps a short ASCII extension', () => {
      const extension = fc.stringMatching(/^[a-z0-9]{1,16}$/)
      const property = fc.property(anyName, extension, (raw, ext) => {
        const stem = `s${raw.replaceAll(/[/\\]/g, '')}`
        expect(safeFileName(`${stem}.${ext}`)).toMatch(new RegExp(`\\.${ext}$`))
      })
      fc.assert(property, { numRuns: 2_000 })
    })
  })
})

describe('storedName', () => {
  it('puts 32 hex digits before the name', () => {
    expect(storedName(HEX, '報告書.pdf')).toBe(`${HEX}-報告書.pdf`)
  })

  it('stays within one path segment of 255 bytes', () => {
    expect(byteLength(storedName(HEX, safeFileName('a'.repeat(500))))).toBe(233)
  })

  it('contains a name that was never made safe', () => {
    expect(storedName(HEX, '../../etc/passwd')).toBe(`${HEX}-passwd`)
  })

  it.each(['', 'abc', HEX.toUpperCase(), `${HEX}0`, `${HEX}\n`, '../'.repeat(11)])(
    'refuses the prefix %j',
    (prefix) => {
      expect(() => storedName(prefix, 'a.txt')).toThrow(RangeError)
    },
  )
})
