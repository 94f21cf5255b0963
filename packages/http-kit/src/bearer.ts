/** @module The only place where Authorization values are compared (H30). */
import { hash, timingSafeEqual } from 'node:crypto'

/** SHA-256 of the UTF-8 form of `value`; in one call, which costs half of a hash object. */
export function sha256(value: string): Buffer {
  return hash('sha256', value, 'buffer')
}

/**
 * Whether two credentials are equal, in time that depends on neither: the comparison is over
 * fixed-length digests, so it cannot throw on a length or a character it did not expect.
 */
export function credentialsEqual(presented: string, expected: string): boolean {
  return timingSafeEqual(sha256(presented), sha256(expected))
}

/**
 * The credential of an Authorization header, or undefined when there is none.
 * Contract/platform 3.1: exact, case-sensitive `Bearer ` prefix, remainder trimmed.
 */
export function bearerCredential(header: string | undefined): string | undefined {
  if (header === undefined || !header.startsWith('Bearer ')) return undefined
  const credential = header.slice('Bearer '.length).trim()
  return credential === '' ? undefined : credential
}

/**
 * Whether the whole header is exactly `Bearer <secret>` (contract/runtime 1.3: scheme
 * case-sensitive, single space, no trimming). An absent or empty secret never matches.
 */
export function bearerHeaderMatches(
  header: string | undefined,
  secret: string | undefined,
): boolean {
  // The digests are always computed, so that a missing secret takes as long as a wrong one.
  const equal = credentialsEqual(header ?? '', `Bearer ${secret ?? ''}`)
  return equal && header !== undefined && secret !== undefined && secret !== ''
}

/**
 * The same for any of several secrets, as while one is being replaced by the next. All of them are
 * compared always, so that the time does not tell which one matched; none held never matches.
 */
export function bearerHeaderMatchesAny(
  header: string | undefined,
  secrets: readonly string[],
): boolean {
  const held = secrets.length === 0 ? [undefined] : secrets
  return held.map((secret) => bearerHeaderMatches(header, secret)).includes(true)
}

/**
 * A short public name of a credential: which one somebody holds can be said without saying it.
 * 64 bits of a domain-separated SHA-256; useless for finding 256 random bits.
 */
export function credentialId(credential: string): string {
  return sha256(`atrium:credential-id:${credential}`).toString('hex').slice(0, 16)
}
