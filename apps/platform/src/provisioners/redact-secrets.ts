/** @module What a workspace said, without the secrets it was given. */
import type { Secret } from '@atrium/http-kit/secret'

export function redactSecrets(text: string, secrets: Iterable<Secret>): string {
  let redacted = text
  for (const secret of secrets) {
    const value = secret.reveal()
    if (value !== '') redacted = redacted.replaceAll(value, '[secret]')
  }
  return redacted
}
