import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { findBearerValues, findLeaks } from '../support/find-leaks.ts'

const secret = 'correct+horse/battery'

describe('findLeaks', () => {
  it.each([
    ['as it is', `Bearer ${secret}`],
    ['inside a URL', `GET /?token=${encodeURIComponent(secret)}`],
    ['in base64', Buffer.from(secret).toString('base64')],
    ['in hex', Buffer.from(secret).toString('hex')],
  ])('sees a secret %s, and does not repeat it', (_how, line) => {
    const leaks = findLeaks(['unrelated-value', secret], [{ name: 'a.log', text: `x\n${line}\n` }])
    expect(leaks).toEqual(['secret 2 in a.log, line 2'])
  })

  it('finds nothing where nothing is', () => {
    expect(findLeaks([secret], [{ name: 'a.log', text: 'correct horse battery' }])).toEqual([])
  })
})

describe('findBearerValues', () => {
  const minted = randomBytes(32).toString('base64url')

  it.each([
    ['in a header', `authorization: Bearer ${minted}`],
    ['in JSON', JSON.stringify({ auth_token: minted })],
    ['in a URL', `GET /x?token=${minted}&y=1`],
  ])('sees one that nobody wrote down: %s', (_where, line) => {
    const leaks = findBearerValues([{ name: 'a.log', text: `x\n${line}\n` }])
    expect(leaks).toEqual(['a bearer value in a.log, line 2'])
  })

  it.each([
    ['a digest', 'f'.repeat(64)],
    ['the name of a stored file', `${'0f'.repeat(16)}-ten-chars_.txt`],
    ['a workspace id', '3f2a0000-0000-4000-8000-000000000001'],
  ])('does not take %s for one', (_what, text) => {
    expect(findBearerValues([{ name: 'a.log', text }])).toEqual([])
  })
})
