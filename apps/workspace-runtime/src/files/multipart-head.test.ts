import { Script } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boundaryOf, parsePartHead } from './multipart-head.ts'

const head = (disposition: string, contentType?: string) =>
  parsePartHead({
    'content-disposition': [disposition],
    ...(contentType === undefined ? {} : { 'content-type': [contentType] }),
  })

describe('boundaryOf', () => {
  it.each([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['multipart/form-data; boundary="a b:c"', 'a b:c'],
    ['Multipart/Form-Data;charset=utf-8;BOUNDARY=abc', 'abc'],
    [`multipart/form-data; boundary=${'b'.repeat(70)}`, 'b'.repeat(70)],
    [`multipart/form-data; boundary=${'b'.repeat(71)}`, undefined],
    ['multipart/form-data', undefined],
    ['multipart/form-data; boundary=', undefined],
    ['multipart/form-data; boundary="ends with space "', undefined],
    ['multipart/form-data; boundary="quote\\"d"', undefined],
    ['multipart/mixed; boundary=abc', undefined],
    ['multipart/form-databoundary=abc', undefined],
    ['text/plain', undefined],
    [undefined, undefined],
  ])('finds in %j %j', (contentType, boundary) => {
    expect(boundaryOf(contentType)).toBe(boundary)
  })
})

describe('a header line made to take long', () => {
  // As long as a part's header may be. Interrupted by V8 when there is more than one way to read
  // the piece that repeats: then it would take longer than anybody waits.
  const LENGTH = 16 * 1024
  const PATIENCE_MS = 4_000

  it.each([
    ['backslashes in quotes that are never closed', `; name="${'\\'.repeat(LENGTH)}`],
    ['escaped quotes in quotes that are never closed', `; name="${'\\"'.repeat(LENGTH / 2)}`],
    ['quotes that open again and again', ';a="b;'.repeat(LENGTH / 6)],
    ['names without a value', ';a='.repeat(LENGTH / 3)],
    ['names without anything', ';a'.repeat(LENGTH / 2)],
    ['spaces', `;${' '.repeat(LENGTH / 2)}a${' '.repeat(LENGTH / 2)}`],
    ['equals signs', `;a${'='.repeat(LENGTH)}`],
    ['a type without an end', `/b;${' '.repeat(LENGTH)}\u0007`],
  ])('is read at once: %s', (_, text) => {
    const read = () => {
      boundaryOf(`multipart/form-data${text}`)
      head(`form-data${text}`, `a${text}`)
    }
    new Script('read()').runInNewContext({ read }, { timeout: PATIENCE_MS })
  })
})

describe('parsePartHead', () => {
  it.each([
    ['form-data; name="files"; filename="a.txt"', 'files', 'a.txt'],
    ['form-data; name=files; filename=a.txt', 'files', 'a.txt'],
    ['FORM-DATA; NAME="files"; FILENAME="a.txt"', 'files', 'a.txt'],
    ['form-data; name="files"', 'files', undefined],
    ['form-data; name="files"; filename=""', 'files', ''],
    ['form-data; name="files"; filename="a\\"b\\\\c.txt"', 'files', 'a"b\\c.txt'],
    ['form-data; name="files"; filename="C:\\dir\\a.txt"', 'files', 'C:\\dir\\a.txt'],
    ['form-data; name="files"; filename="a;name=x.txt"', 'files', 'a;name=x.txt'],
    ['form-data; name="files"; name="other"; filename="x"', 'files', 'x'],
    ['form-data; name="files"; filename="a.txt"; filename*=UTF-8\'\'b.txt', 'files', 'a.txt'],
    ['form-data; name="files"; filename*=UTF-8\'\'b%20%C3%A9.txt', 'files', 'b \u00e9.txt'],
    ['form-data; name="files"; filename*=UTF-8\'\'%ff', 'files', ''],
    ['form-data; name="files"; filename*=latin1\'\'a', 'files', ''],
  ])('reads %s', (disposition, field, fileName) => {
    expect(head(disposition)).toMatchObject({ field, fileName })
  })

  it('takes names as UTF-8', () => {
    const latin1 = Buffer.from('form-data; name="files"; filename="\u540d.txt"').toString('latin1')
    expect(head(latin1)?.fileName).toBe('\u540d.txt')
  })

  it.each([
    'attachment; name="files"',
    'form-data',
    'form-datax; name="f"',
    '',
    'form-data; filename="x"',
  ])('is no form field: %j', (disposition) => {
    expect(head(disposition)).toBeUndefined()
  })

  it('takes a part of octets for a file though it has no name', () => {
    expect(head('form-data; name="files"', 'application/octet-stream')?.fileName).toBe('')
    expect(head('form-data; name="files"', 'text/plain')?.fileName).toBeUndefined()
  })

  it.each([
    ['text/plain', 'text/plain'],
    [' text/plain; charset=utf-8 ', 'text/plain; charset=utf-8'],
    ['text', undefined],
    ['text/plain\u0007', undefined],
    ['text/<script>', undefined],
    [`text/${'x'.repeat(200)}`, undefined],
  ])('keeps the type %j as %j', (declared, contentType) => {
    expect(head('form-data; name="files"; filename="x"', declared)?.contentType).toBe(contentType)
  })

  it('does not throw on any text', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (one, two) => void head(one, two)))
  })
})
