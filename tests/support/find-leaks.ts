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

/** As it is, as part of a URL, and as the bytes of a bearer header in base64 or hex. */
function spellingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [secret, encodeURIComponent(secret), bytes.toString('base64'), bytes.toString('hex')]
}
