/**
 * @module The name under which an upload is stored and shown (design/path-safety 5). Total: any
 * string becomes a name that is safe in a path, a header, a shell word, a terminal and on Windows.
 */

export const MAX_NAME_BYTES = 200

const FALLBACK_NAME = 'file'

// Everything Unicode calls ignorable: bidi controls, zero-width characters, soft hyphen, variation
// selectors, fillers, tags. ZWJ and ZWNJ too: they change how a name looks, never which name it is,
// and two files must not differ by something nobody sees. FFF9 to FFFB annotate, and are invisible.
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]/gu

// \p{N} and not \p{Nd}: U+3007 in Chinese years is a letter number, and superscripts are visible.
const NOT_ALLOWED = /[^\p{L}\p{M}\p{N}._-]/gu

// Hidden files, and names that a command line would read as an option.
const LEADING = /^[.-]+/
// Windows drops trailing dots, so `a.` and `a` would be one file.
const TRAILING = /\.+$/

// Reserved with any extension: `con.tar.gz` is the console. CONIN$ and CONOUT$ lose their dollar.
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])$/i

const EXTENSION = /\.[\p{L}\p{N}]{1,16}$/u

const STORED_PREFIX = /^[0-9a-f]{32}$/

const UTF8 = new TextEncoder()
const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' })

function byteLength(text: string): number {
  return UTF8.encode(text).byteLength
}

function lastComponent(raw: string): string {
  return raw.slice(Math.max(raw.lastIndexOf('/'), raw.lastIndexOf('\\')) + 1)
}

/**
 * Invisible characters go first: one between a letter and its accent would hide them from NFC.
 * A lone surrogate is no letter, so the result is always well-formed.
 */
function clean(raw: string): string {
  return lastComponent(raw)
    .replace(INVISIBLE, '')
    .normalize('NFC')
    .replace(NOT_ALLOWED, '_')
    .replace(LEADING, '')
    .replace(TRAILING, '')
}

function guardDeviceName(name: string): string {
  const [firstPart = ''] = name.split('.', 1)
  return WINDOWS_DEVICE.test(firstPart) ? `_${name}` : name
}

/** The longest run of whole pieces that fits into `maxBytes`. */
function takePieces(pieces: Iterable<string>, maxBytes: number): string {
  let taken = ''
  let bytes = 0
  for (const piece of pieces) {
    bytes += byteLength(piece)
    if (bytes > maxBytes) break
    taken += piece
  }
  return taken
}

function* graphemesOf(text: string): Generator<string> {
  for (const { segment } of GRAPHEMES.segment(text)) yield segment
}

/** Cuts the stem between graphemes; inside one that alone is too long, between code points. */
function cutToLimit(name: string): string {
  if (byteLength(name) <= MAX_NAME_BYTES) return name
  const extension = EXTENSION.exec(name)?.[0] ?? ''
  const stem = name.slice(0, name.length - extension.length)
  const room = MAX_NAME_BYTES - byteLength(extension)
  const whole = takePieces(graphemesOf(stem), room)
  const cut = whole === '' ? takePieces(stem, room) : whole
  return (cut + extension).replace(TRAILING, '')
}

/**
 * The safe form of a client's file name: NFC, one path component, letters, marks and digits of any
 * script and `. _ -`, no leading dot or dash, at most `MAX_NAME_BYTES` bytes of UTF-8 with the
 * extension kept, `file` when nothing is left. Idempotent. Percent-escapes are not decoded and
 * compatibility forms are not folded. Never throws.
 */
export function safeFileName(raw: string | undefined): string {
  const name = cutToLimit(guardDeviceName(clean(raw ?? '')))
  // Again, because a cut can shorten a longer word to a device name; it is far from the limit then.
  return name === '' ? FALLBACK_NAME : guardDeviceName(name)
}

/**
 * The name on disk, `<32 hex>-<name>`: the random part keeps equal, case-equal and NFC-equal names
 * apart (contract/runtime 2.3). At most 233 bytes. Throws RangeError when `hex32` is not 32
 * lower-case hex digits.
 */
export function storedName(hex32: string, safeName: string): string {
  if (!STORED_PREFIX.test(hex32)) {
    throw new RangeError('a stored name starts with 32 lower-case hex digits')
  }
  // Idempotent, so this costs a caller that obeyed nothing, and one that did not stays contained.
  return `${hex32}-${safeFileName(safeName)}`
}
