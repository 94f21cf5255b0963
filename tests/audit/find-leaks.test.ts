import { describe, expect, it } from 'vitest'
import { findLeaks } from '../support/find-leaks.ts'

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
