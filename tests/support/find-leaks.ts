/** @module Looks for secrets in logs, in the spellings that a log may give them. */

export type LogText = { readonly name: string; readonly text: string }

/** Where each leak is, by log and line; the secret itself is not repeated. */
export function findLeaks(secrets: readonly string[], logs: readonly LogText[]): string[] {
  const needles = new Map<string, number>()
  secrets.forEach((secret, index) => {
    for (const spelling of spellingsOf(secret)) needles.set(spelling, index)
  })
  return logs.flatMap(({ name, text }) => {
    const leaks: string[] = []
    for (const [needle, index] of needles) {
      const at = text.indexOf(needle)
      if (at < 0) continue
      leaks.push(`secret ${index + 1} in ${name}, line ${text.slice(0, at).split('\n').length}`)
    }
    return leaks
  })
}

/**
 * Where something stands that looks like a minted bearer value (32 bytes in base64url), whether or
 * not anybody has written it down: processes that a test starts mint for themselves.
 */
export function findBearerValues(logs: readonly LogText[]): string[] {
  return logs.flatMap(({ name, text }) =>
    [...text.matchAll(BEARER_VALUE)].map(
      ({ index }) => `a bearer value in ${name}, line ${text.slice(0, index).split('\n').length}`,
    ),
  )
}

/** Not the names under which uploads are stored: 32 hex digits, a dash, and a name. */
const BEARER_VALUE = /(?<![\w-])(?![0-9a-f]{32}-)[\w-]{43}(?![\w-])/g

/** As it is, as part of a URL, and as the bytes of a bearer header in base64 or hex. */
function spellingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [secret, encodeURIComponent(secret), bytes.toString('base64'), bytes.toString('hex')]
}
