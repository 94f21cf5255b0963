/** @module The `A2A-Version` header, or the query parameter of the same name (contract/a2a 1.8, 2.4). */

/** What a caller may ask for, as `supported` of a refusal lists it. */
export const SUPPORTED_VERSIONS: readonly string[] = ['1.0', '0.3', '0.2']

// Anchored, and every group starts with a character that the one before cannot take: linear.
const VERSION = /^v?(\d{1,4}\.\d{1,4})(?:\.\d{1,9}){0,2}$/i

/** Major.Minor of a version as people write it: `1.0.0`, `v1.0` and ` 1.0 ` are 1.0. */
export function majorMinor(text: string): string {
  const trimmed = text.trim()
  return VERSION.exec(trimmed)?.[1] ?? trimmed
}

export type VersionReading =
  | {
      readonly ok: true
      /** The dialect asked for; undefined when the caller did not say, which means 0.3. */
      readonly dialect: '0.3' | '1.0' | undefined
    }
  | { readonly ok: false }

/** Reads what a caller asked for. Not `ok`: a version that nobody here speaks (-32009). */
export function readVersion(header: string | undefined): VersionReading {
  const version = majorMinor(header ?? '')
  if (version === '') return { ok: true, dialect: undefined }
  if (!SUPPORTED_VERSIONS.includes(version)) return { ok: false }
  return { ok: true, dialect: version === '1.0' ? '1.0' : '0.3' }
}
