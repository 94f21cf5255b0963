import { randomBytes } from 'node:crypto'
import { Secret } from '@atrium/http-kit/secret'
import { describe, expect, it } from 'vitest'
import { workspaceIdSchema } from './ids.ts'
import { keyringOf, openSecret, sealSecret } from './secret-envelope.ts'

const keyring = keyringOf(randomBytes(32))
const workspaceId = workspaceIdSchema.parse('11111111-1111-4111-8111-111111111111')
const owner = { workspaceId, purpose: 'inbound-secret' } as const
const secret = new Secret('s3cret-ü')

describe('a sealed secret', () => {
  it('opens for its owner, differs every time, and does not contain the value', () => {
    const first = sealSecret(keyring, owner, secret)
    expect(openSecret(keyring, owner, first).reveal()).toBe('s3cret-ü')
    expect(sealSecret(keyring, owner, secret)).not.toBe(first)
    expect(Buffer.from(first.split('.')[2] ?? '', 'base64url').toString()).not.toContain('s3cret')
  })

  it('opens neither for another workspace nor for another purpose', () => {
    const envelope = sealSecret(keyring, owner, secret)
    const other = workspaceIdSchema.parse('22222222-2222-4222-8222-222222222222')
    expect(() => openSecret(keyring, { ...owner, workspaceId: other }, envelope)).toThrow()
    expect(() => openSecret(keyring, { ...owner, purpose: 'env:KEY' }, envelope)).toThrow()
  })

  it('does not open when a single bit was changed', () => {
    const envelope = sealSecret(keyring, owner, secret)
    const [version, keyId, packed = ''] = envelope.split('.')
    const bytes = Buffer.from(packed, 'base64url')
    for (let index = 0; index < bytes.length; index += 1) {
      const forged = Buffer.from(bytes)
      forged[index] = (forged[index] ?? 0) ^ 1
      const text = `${version}.${keyId}.${forged.toString('base64url')}`
      expect(() => openSecret(keyring, owner, text)).toThrow()
    }
  })

  it('says which key is missing without naming keys', () => {
    const envelope = sealSecret(keyringOf(randomBytes(32)), owner, secret)
    expect(() => openSecret(keyring, owner, envelope)).toThrow(/no encryption key with id/)
    expect(() => openSecret(keyring, owner, 'v2.x.y')).toThrow(/malformed/)
    expect(() => openSecret(keyring, owner, '')).toThrow(/malformed/)
  })
})

describe('keyringOf', () => {
  it('refuses a key of another length and names the same key the same', () => {
    expect(() => keyringOf(randomBytes(31))).toThrow()
    const key = randomBytes(32)
    expect(keyringOf(key).currentKeyId).toBe(keyringOf(Buffer.from(key)).currentKeyId)
  })
})
