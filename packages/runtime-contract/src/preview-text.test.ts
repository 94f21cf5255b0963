import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AskedWindow,
  askedWindow,
  decodeWindow,
  filePreview,
  SIGNATURE_BYTES,
  spanAround,
  type WindowText,
} from './preview-text.ts'

/** As the reader of a file does it: no more is read than has to be. */
function show(file: Buffer, { offset, limit }: AskedWindow): WindowText {
  const { position, end } = spanAround({ offset, limit }, file.length)
  return decodeWindow(
    {
      bytes: file.subarray(position, end),
      position,
      signature: file.subarray(0, SIGNATURE_BYTES),
      fileSize: file.length,
    },
    { offset, limit },
  )
}

function follow(file: Buffer, limit: number): readonly WindowText[] {
  const windows: WindowText[] = []
  for (let offset = 0; windows.length === 0 || offset < file.length; ) {
    const window = show(file, { offset, limit })
    expect(window.nextOffset).toBeLessThanOrEqual(file.length)
    if (offset < file.length) expect(window.nextOffset).toBeGreaterThan(offset)
    windows.push(window)
    offset = window.nextOffset
  }
  return windows
}

function encode(text: string, encoding: string): Buffer {
  if (encoding === 'utf-8') return Buffer.from(text, 'utf8')
  const marked = Buffer.from(`\ufeff${text}`, 'utf16le')
  return encoding === 'utf-16le' ? marked : marked.swap16()
}

function bytes(...values: number[]): Buffer {
  return Buffer.from(values)
}

const LONGEST_CHARACTER = 4
const ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be'] as const
const anyLimit = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 300 }))
const anyCharacter = fc.constantFrom('a', '\n', 'é', '€', '😀', '\ufeff')
const anyText = fc
  .oneof(fc.string({ unit: anyCharacter }), fc.string({ unit: 'binary' }))
  .filter((text) => !text.includes('\0'))

describe('decodeWindow: a window anywhere in a text', () => {
  it.each(ENCODINGS)('gives back the whole text in windows of any size: %s', (encoding) => {
    fc.assert(
      fc.property(anyText, anyLimit, (text, limit) => {
        const windows = follow(encode(text, encoding), limit)
        expect(windows.map(({ shown }) => shown?.text).join('')).toBe(text)
        for (const { shown } of windows) expect(shown?.encoding).toBe(encoding)
      }),
    )
  })

  it.each(ENCODINGS)('calls no window of a text binary, wherever it lies: %s', (encoding) => {
    fc.assert(
      fc.property(anyText, fc.nat(60), anyLimit, (text, offset, limit) => {
        const file = encode(text, encoding)
        const window = show(file, { offset, limit })
        expect(window.shown).toBeDefined()
        expect(window.offset - Math.min(offset, file.length)).toBeLessThan(LONGEST_CHARACTER)
        // What is told is where the text lies: shown again by itself, it is the same.
        const shown = file.subarray(window.offset, window.nextOffset)
        expect(encode(window.shown?.text ?? '', encoding).includes(shown)).toBe(true)
      }),
    )
  })

  it('comes to an end over any bytes, in windows of any size', () => {
    const signed = fc
      .tuple(fc.constantFrom([], [0xff, 0xfe], [0xfe, 0xff]), fc.uint8Array({ maxLength: 80 }))
      .map(([mark, rest]) => Buffer.from([...mark, ...rest]))
    fc.assert(
      fc.property(signed, anyLimit, (file, limit) => {
        const windows = follow(file, limit)
        expect(windows.length).toBeLessThanOrEqual(file.length + 1)
      }),
    )
  })

  it('shows as much as fits, and more only for the one character that does not', () => {
    fc.assert(
      fc.property(anyText, anyLimit, (text, limit) => {
        const file = Buffer.from(text)
        for (const { offset, nextOffset, shown } of follow(file, limit)) {
          const length = nextOffset - offset
          if (length > limit) expect([...(shown?.text ?? '')]).toHaveLength(1)
          const [next = ''] = file.subarray(nextOffset).toString()
          if (next !== '') expect(length + Buffer.byteLength(next)).toBeGreaterThan(limit)
        }
      }),
    )
  })

  it.each([1, 2, 3, 4, 5, 6])(
    'keeps a character of four bytes whole at a cut after %i',
    (limit) => {
      const file = Buffer.from('ab😀cd')
      expect(
        follow(file, limit)
          .map(({ shown }) => shown?.text)
          .join(''),
      ).toBe('ab😀cd')
      for (const offset of [3, 4, 5]) {
        expect(show(file, { offset, limit: 2 })).toMatchObject({
          offset: 6,
          nextOffset: 8,
          shown: { text: 'cd' },
        })
      }
    },
  )

  it.each([
    ['utf-16le', 'a😀b'],
    ['utf-16be', 'a😀b'],
  ])('never parts two surrogates: %s', (encoding, text) => {
    const file = encode(text, encoding)
    // The mark, a, two halves, b: cut in the middle of the pair.
    expect(show(file, { offset: 0, limit: 6 })).toMatchObject({ nextOffset: 4 })
    for (const offset of [5, 6, 7]) {
      expect(show(file, { offset, limit: 9 })).toMatchObject({ offset: 8, shown: { text: 'b' } })
    }
    expect(show(file, { offset: 3, limit: 1 })).toMatchObject({ offset: 4, nextOffset: 8 })
  })

  it('leaves the mark of UTF-16 out of the text, and that of UTF-8 in', () => {
    expect(show(encode('ä', 'utf-16be'), { offset: 0, limit: 100 })).toEqual({
      offset: 0,
      nextOffset: 4,
      shown: { encoding: 'utf-16be', text: 'ä', lines: 1 },
    })
    expect(show(Buffer.from('\ufeffä'), { offset: 0, limit: 100 }).shown?.text).toBe('\ufeffä')
  })

  it.each([
    ['', 0],
    ['a', 1],
    ['a\n', 1],
    ['a\r\nb', 2],
    ['\n\n', 2],
    ['\nlast', 2],
  ])('counts the lines of %j: %i', (text, lines) => {
    for (const encoding of ENCODINGS) {
      expect(show(encode(text, encoding), { offset: 0, limit: 100 }).shown?.lines).toBe(lines)
    }
  })

  it('says of a window behind the end that there is nothing', () => {
    const nothing = { shown: { text: '', lines: 0 } }
    expect(show(Buffer.from('abc'), { offset: 9, limit: 4 })).toMatchObject({
      offset: 3,
      nextOffset: 3,
      ...nothing,
    })
    expect(show(bytes(), { offset: 0, limit: 4 })).toMatchObject({ nextOffset: 0, ...nothing })
  })
})

describe('decodeWindow: what is no text', () => {
  it.each([
    ['a NUL', Buffer.from('a\0b')],
    ['a NUL in UTF-16', encode('a\0b', 'utf-16le')],
    ['UTF-32, which begins like UTF-16', bytes(0xff, 0xfe, 0, 0, 0x41, 0, 0, 0)],
    ['a byte that no character has', bytes(0x61, 0xff, 0x62)],
    ['a continuation of nothing', bytes(0x61, 0x80, 0x62)],
    ['an overlong form', bytes(0xc0, 0xaf)],
    ['a surrogate in UTF-8', bytes(0xed, 0xa0, 0x80)],
    ['a first half alone', bytes(0xff, 0xfe, 0x3d, 0xd8, 0x61, 0)],
    ['a second half alone', bytes(0xfe, 0xff, 0xde, 0, 0, 0x61)],
    ['a first half at the end of the file', bytes(0xff, 0xfe, 0x3d, 0xd8)],
    ['half a unit at the end of the file', bytes(0xff, 0xfe, 0x61)],
    ['one byte of two at the end of the file', bytes(0x61, 0xc3)],
    ['three bytes of four at the end of the file', Buffer.from('a😀').subarray(0, 4)],
    ['a file of one byte', bytes(0xf0)],
    ['a file of one byte of a mark', bytes(0xff)],
  ])('%s', (_, file) => {
    expect(show(file, { offset: 0, limit: 100 })).toEqual({ offset: 0, nextOffset: file.length })
  })

  it.each([1, 2, 3])('also where only %i bytes of the cut last character are asked for', (tail) => {
    const file = Buffer.from('text 😀').subarray(0, -1)
    expect(show(file, { offset: file.length - tail, limit: tail }).shown).toBeUndefined()
  })

  it('also where the window begins with what the one before could not have begun', () => {
    const stray = Buffer.concat([Buffer.from('aaaa'), bytes(0x80, 0x80), Buffer.from('bb')])
    expect(show(stray, { offset: 4, limit: 4 }).shown).toBeUndefined()
    const alone = bytes(0xff, 0xfe, 0x61, 0, 0, 0xdc, 0x62, 0)
    expect(show(alone, { offset: 4, limit: 4 }).shown).toBeUndefined()
  })

  it.each([
    ['a first half and one byte', bytes(0xfe, 0xff, 0xd8, 0x3d, 0x61), 2],
    ['the half of a second half', bytes(0xfe, 0xff, 0xd8, 0x3d, 0xdc), 4],
  ])('also where UTF-16 ends within a unit, behind %s', (_, file, offset) => {
    expect(show(file, { offset, limit: 1 })).toEqual({ offset, nextOffset: offset + 1 })
  })

  it('tells the window that was asked for', () => {
    const file = Buffer.alloc(100)
    expect(show(file, { offset: 10, limit: 20 })).toEqual({ offset: 10, nextOffset: 30 })
    expect(show(file, { offset: 90, limit: 20 })).toEqual({ offset: 90, nextOffset: 100 })
  })
})

describe('the window of a preview', () => {
  it('is the end of the file when a tail is asked for, and all of a shorter file', () => {
    expect(askedWindow({ tail: 30 }, 100)).toEqual({ offset: 70, limit: 30 })
    expect(askedWindow({ tail: 300 }, 100)).toEqual({ offset: 0, limit: 300 })
    expect(askedWindow({ offset: 300, limit: 5 }, 100)).toEqual({ offset: 300, limit: 5 })
  })

  it('is read with a character around it, as far as the file goes', () => {
    expect(spanAround({ offset: 50, limit: 10 }, 100)).toEqual({ position: 46, end: 68 })
    expect(spanAround({ offset: 2, limit: 95 }, 100)).toEqual({ position: 0, end: 100 })
    const behind = { offset: Number.MAX_SAFE_INTEGER, limit: 10 }
    expect(spanAround(behind, 100)).toEqual({ position: 96, end: 100 })
  })

  it('is told as truncated when there is something before it or behind it', () => {
    const told = { path: 'p', version: 'v' }
    const read = (text: string) => ({
      ...{ bytes: Buffer.from(text), position: 0, fileSize: text.length },
      signature: Buffer.from(text).subarray(0, SIGNATURE_BYTES),
    })
    const windows = [
      [0, 4, false],
      [1, 3, true],
      [0, 3, true],
      [4, 9, true],
    ] as const
    for (const [offset, limit, truncated] of windows) {
      const window = { offset, limit }
      expect(filePreview(told, read('text'), window)).toMatchObject({ ...told, truncated })
      expect(filePreview(told, read('\0ext'), window)).toMatchObject({ size: 4, truncated })
    }
    expect(filePreview(told, read('\0ext'), { offset: 0, limit: 4 })).toEqual({
      ...{ ...told, size: 4, offset: 0, next_offset: 4, truncated: false },
      ...{ binary: true, encoding: null, text: null, lines: null },
    })
  })
})
