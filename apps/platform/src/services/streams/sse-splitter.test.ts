import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SseSplitter } from './sse-splitter.ts'

/** The data of all events of `text`, given in pieces of `size` bytes. */
function split(text: string | Buffer, size = text.length, maxBytes?: number): string[] {
  const splitter = new SseSplitter(maxBytes)
  const bytes = Buffer.from(text)
  const events: string[] = []
  for (let at = 0; at < bytes.length; at += size) {
    events.push(...splitter.push(bytes.subarray(at, at + size)).map(String))
  }
  return events
}

describe('SseSplitter', () => {
  it.each([
    ['a line feed', 'data: {"a":1}\n\ndata: {"b":2}\n\n', ['{"a":1}', '{"b":2}']],
    ['carriage return and line feed', 'data: a\r\n\r\ndata: b\r\n\r\n', ['a', 'b']],
    ['carriage returns', 'data: a\r\rdata: b\r\r', ['a', 'b']],
    ['no space behind the colon', 'data:a\n\n', ['a']],
    ['two spaces, of which one is content', 'data:  a\n\n', [' a']],
    ['several lines of data', 'data: {"a":\ndata: 1}\n\n', ['{"a":1}']],
    ['other fields', 'id: 7\nevent: error\nretry: 1\ndata: a\n\n', ['a']],
    ['comments', ': hb\n\n: hb\ndata: a\n\n', ['a']],
    ['a field without a colon', 'data\n\ndata: a\n\n', ['a']],
    ['a field that only begins like data', 'database: x\ndata: a\n\n', ['a']],
    ['a byte order mark', '\ufeffdata: a\n\n', ['a']],
    ['an event that is not complete', 'data: a\n\ndata: b\n', ['a']],
    ['characters of several bytes', 'data: äöü€😀\n\n', ['äöü€😀']],
  ])('reads %s, in whatever pieces it comes', (_case, text, events) => {
    for (const size of [1, 2, 3, 5, 1_000]) expect(split(text, size)).toEqual(events)
  })

  it('refuses an event that is too long, complete or not', () => {
    expect(split(`data: ${'x'.repeat(90)}\n\n`, 7, 100)).toHaveLength(1)
    expect(() => split(`data: ${'x'.repeat(200)}`, 7, 100)).toThrow()
    expect(() => split('data: x\n'.repeat(200), 7, 100)).toThrow()
    expect(() => split(`: ${'x'.repeat(200)}`, 7, 100)).toThrow()
  })

  it('counts each event by itself, however long the stream is', () => {
    expect(split(`data: ${'x'.repeat(60)}\n\n`.repeat(10), 7, 100)).toHaveLength(10)
  })

  it('takes a mark for one at the beginning only', () => {
    expect(split('data: a\n\n\ufeffdata: b\n\n')).toEqual(['a'])
  })

  it('gives the same whatever the pieces are', () => {
    const line = fc.constantFrom('data: a', 'data:b', ': c', 'id: 1', '', 'data: {"x":"é"}')
    const text = fc
      .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')))
      .map((lines) => lines.map(([each, end]) => each + end).join(''))
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (whole, size) => {
        expect(split(whole, size)).toEqual(split(whole))
      }),
    )
  })
})
