import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bearerCredential,
  bearerHeaderMatches,
  bearerHeaderMatchesAny,
  credentialId,
  credentialsEqual,
} from './bearer.ts'

describe('bearerHeaderMatches', () => {
  it('accepts the exact header', () => {
    expect(bearerHeaderMatches('Bearer s3cret', 's3cret')).toBe(true)
  })

  // contract/runtime 1.3: scheme case-sensitive, single space, no trimming.
  it.each([
    ['no header', undefined],
    ['an empty header', ''],
    ['the scheme alone', 'Bearer'],
    ['an empty credential', 'Bearer '],
    ['a lower-case scheme', 'bearer s3cret'],
    ['another scheme', 'Basic s3cret'],
    ['two spaces', 'Bearer  s3cret'],
    ['a trailing space', 'Bearer s3cret '],
    ['a leading space', ' Bearer s3cret'],
    ['a prefix', 'Bearer s3cre'],
    ['more than the secret', 'Bearer s3crett'],
    ['another case', 'Bearer S3cret'],
    ['non-ASCII characters', 'Bearer s3cr\u00e9t'],
    ['a lone surrogate', 'Bearer \ud800'],
    ['the bare secret', 's3cret'],
    ['two credentials', 'Bearer s3cret, Bearer s3cret'],
  ])('refuses %s', (_case, header) => {
    expect(bearerHeaderMatches(header, 's3cret')).toBe(false)
  })

  it.each([undefined, ''])('fails closed when the secret is %j', (secret) => {
    for (const header of [undefined, '', 'Bearer', 'Bearer ', 'Bearer undefined']) {
      expect(bearerHeaderMatches(header, secret)).toBe(false)
    }
  })
})

describe('bearerHeaderMatchesAny', () => {
  it.each(['first', 'second'])('accepts %j while both are held', (secret) => {
    expect(bearerHeaderMatchesAny(`Bearer ${secret}`, ['first', 'second'])).toBe(true)
  })

  it.each([
    ['another one', 'Bearer third', ['first', 'second']],
    ['everything while none is held', 'Bearer ', []],
    ['an empty one among them', 'Bearer ', ['first', '']],
    ['no header', undefined, ['first', 'second']],
  ])('refuses %s', (_case, header, secrets) => {
    expect(bearerHeaderMatchesAny(header, secrets)).toBe(false)
  })
})

describe('bearerCredential', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['Bearer   abc  ', 'abc'],
    ['Bearer a b', 'a b'],
    ['bearer abc', undefined],
    ['Bearerabc', undefined],
    ['Bearer', undefined],
    ['Bearer ', undefined],
    ['Bearer \t ', undefined],
    ['Basic abc', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('reads %j as %j', (header, credential) => {
    expect(bearerCredential(header)).toBe(credential)
  })
})

describe('credentialsEqual', () => {
  it('says exactly whether two well-formed texts are equal, and never throws', () => {
    const text = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(credentialsEqual(a, a)).toBe(true)
        expect(credentialsEqual(a, b)).toBe(a === b)
      }),
    )
  })
})

describe('credentialId', () => {
  it('names a credential without containing it, the same every time', () => {
    const id = credentialId('a-credential')
    expect(id).toMatch(/^[0-9a-f]{16}$/)
    expect(credentialId('a-credential')).toBe(id)
    expect(credentialId('another-credential')).not.toBe(id)
  })
})
