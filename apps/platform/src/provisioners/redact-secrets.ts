/** @module What a workspace said, without the secrets it was given. */
import type { Secret } from '@atrium/http-kit/secret'

export function redactSecrets(text: string, secrets: Iterable<Secret>): string {
  const values = [...secrets].map((secret) => secret.reveal()).filter((value) => value !== '')
  // The longest first: of a secret that contains another one, the rest would stay.
  const longestFirst = values.toSorted((a, b) => b.length - a.length)
  return longestFirst.reduce((rest, value) => rest.replaceAll(value, '[secret]'), text)
}
