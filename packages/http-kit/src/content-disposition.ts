/** @module The Content-Disposition of a download (RFC 6266, RFC 8187, contract/platform 6.4). */

// RFC 3986 s2.3 unreserved: everything else is percent-encoded, the slash too (contract 6.4).
const UNRESERVED = /[A-Za-z0-9\-._~]/

/** RFC 8187 `ext-value` characters of a UTF-8 string. */
function percentEncode(value: string): string {
  let encoded = ''
  for (const byte of Buffer.from(value, 'utf8')) {
    const char = String.fromCharCode(byte)
    encoded +=
      byte < 0x80 && UNRESERVED.test(char)
        ? char
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

/**
 * `attachment; filename="<ascii>"; filename*=UTF-8''<percent-encoded>` for a file name.
 *
 * The quoted form drops control characters, escapes `"` and `\`, and folds every non-ASCII code
 * point to `_`: Node refuses header values above U+00FF and sends U+0080 to U+00FF as Latin-1.
 * A lone surrogate is replaced first, because it has no UTF-8 form. Never throws.
 */
export function attachmentDisposition(fileName: string): string {
  const name = fileName.toWellFormed()
  let quoted = ''
  let clean = ''
  for (const char of name) {
    const code = char.codePointAt(0) ?? 0
    if (code < 0x20 || code === 0x7f) continue
    clean += char
    if (char === '"' || char === '\\') quoted += `\\${char}`
    else quoted += code > 0x7e ? '_' : char
  }
  return `attachment; filename="${quoted}"; filename*=UTF-8''${percentEncode(clean)}`
}
