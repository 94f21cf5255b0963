/** @module An empty environment variable is an unset one. */

/** The variables that say something. */
export function presentVariables(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const present: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && value !== '') present[name] = value
  }
  return present
}
