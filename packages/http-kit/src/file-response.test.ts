import { describe, expect, it } from 'vitest'
import { contentTypeFor, FILE_SECURITY_HEADERS, passiveTypeFor } from './file-response.ts'

describe('contentTypeFor', () => {
  it.each([
    ['a.txt', 'text/plain; charset=utf-8'],
    ['a.csv', 'text/csv; charset=utf-8'],
    ['A.PNG', 'image/png'],
    ['photo.jpeg', 'image/jpeg'],
    ['data.json', 'application/json'],
    ['archive.tar.gz', 'application/gzip'],
  ])('serves %s as %s', (name, type) => {
    expect(contentTypeFor(name)).toBe(type)
  })

  // design/path-safety 5: neither attachment nor CSP stops <script src> or an embedded document.
  it.each([
    ...['a.html', 'a.htm', 'a.xhtml', 'a.svg', 'a.xml', 'a.js', 'a.mjs', 'a.cjs', 'a.css'],
    ...['a.wasm', 'a.pdf', 'a.swf', 'a.mhtml', 'a.HTML', 'a.Svg', 'a.txt.js', 'a.jpg.html'],
  ])('serves the active %s as bytes', (name) => {
    expect(contentTypeFor(name)).toBe('application/octet-stream')
  })

  it.each([
    '',
    'noextension',
    'a.',
    '.',
    'a.unknown',
    'txt',
    'a.txt ',
    'a.constructor',
    'a.__proto__',
  ])('serves %j, which says nothing, as bytes', (name) => {
    expect(contentTypeFor(name)).toBe('application/octet-stream')
    expect(passiveTypeFor(name)).toBeUndefined()
  })
})

describe('FILE_SECURITY_HEADERS', () => {
  it('keeps a browser from running, framing, storing or guessing', () => {
    expect(FILE_SECURITY_HEADERS).toEqual({
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'private, no-store',
      'X-Frame-Options': 'DENY',
    })
  })

  it('cannot be changed by who sends them', () => {
    expect(Object.isFrozen(FILE_SECURITY_HEADERS)).toBe(true)
  })
})
