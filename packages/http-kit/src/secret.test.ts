import { format, inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Secret } from './secret.ts'

const VALUE = 'correct-horse-battery-staple'

describe('Secret', () => {
  const secret = new Secret(VALUE)

  it('gives its value only to who asks for it', () => {
    expect(secret.reveal()).toBe(VALUE)
  })

  it.each<[string, () => string]>([
    ['a template', () => `${secret}`],
    ['concatenation', () => `Bearer ${String(secret)}`],
    ['JSON', () => JSON.stringify({ secret, list: [secret] })],
    ['inspect', () => inspect({ deep: { secret } }, { depth: 9, showHidden: true })],
    ['format', () => format('%s %o %O %j', secret, secret, secret, secret)],
    ['an error message', () => String(new Error(`refused ${secret}`))],
    ['its properties', () => JSON.stringify([Object.entries(secret), { ...secret }])],
    ['a structured clone', () => inspect(structuredClone({ ...secret }))],
  ])('is not printed by %s', (_way, print) => {
    expect(print()).not.toContain(VALUE)
  })
})
