import { Secret } from '@atrium/http-kit/secret'
import { describe, expect, it } from 'vitest'
import { redactSecrets } from './redact-secrets.ts'

describe('redactSecrets', () => {
  it('leaves no part of a secret that begins as another one does', () => {
    const secrets = [new Secret('sk-live'), new Secret('sk-live-0123'), new Secret('')]
    expect(redactSecrets('sk-live-0123 and sk-live', secrets)).toBe('[secret] and [secret]')
  })
})
