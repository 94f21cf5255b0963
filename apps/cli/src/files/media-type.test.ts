import { describe, expect, it } from 'vitest'
import { mediaTypeFor } from './media-type.ts'

describe('mediaTypeFor', () => {
  it.each([
    ['a.csv', 'text/csv; charset=utf-8'],
    ['a.PNG', 'image/png'],
    ['a.pdf', 'application/pdf'],
    ['a.svg', 'image/svg+xml'],
    ['a.unknown', 'application/octet-stream'],
    ['a.constructor', 'application/octet-stream'],
  ])('tells %s as %s', (name, expected) => {
    expect(mediaTypeFor(name)).toBe(expected)
  })
})
