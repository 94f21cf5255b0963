/** @module Header lines of a multipart form as values (RFC 7578, RFC 2046 s5.1.1). Pure. */

export type PartHead = {
  readonly field: string
  /** Undefined for a plain value; `''` when the client had no name for its file. */
  readonly fileName: string | undefined
  /** As the client wrote it; undefined when absent, or when it is no media type. */
  readonly contentType: string | undefined
}

const FORM_DATA = /^multipart\/form-data[ \t]*(?:;|$)/i
// RFC 2046 s5.1.1 limits a boundary to 70 characters of this set.
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}(?:[ \t]*;[\x20-\x7e]{0,200})?$/

/** The boundary of a multipart/form-data Content-Type, or undefined when there is no usable one. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  if (contentType === undefined || !FORM_DATA.test(contentType)) return undefined
  const boundary = parametersOf(contentType).get('boundary')
  return boundary !== undefined && BOUNDARY.test(boundary) ? boundary : undefined
}

/**
 * What a part says about itself, from its header lines as Latin-1 text; undefined when it is not a
 * form field at all. A file is what has a file name, or declares itself `application/octet-stream`.
 */
export function parsePartHead(
  lines: Readonly<Record<string, readonly string[] | undefined>>,
): PartHead | undefined {
  const disposition = lines['content-disposition']?.[0] ?? ''
  if (!/^form-data[ \t]*(?:;|$)/i.test(disposition)) return undefined
  const parameters = parametersOf(disposition)
  const field = parameters.get('name')
  if (field === undefined) return undefined
  const declared = lines['content-type']?.[0]?.trim() ?? ''
  const contentType = MEDIA_TYPE.test(declared) ? declared : undefined
  const isOctetStream = contentType?.toLowerCase().startsWith('application/octet-stream') ?? false
  return {
    field: utf8(field),
    fileName: fileNameOf(parameters) ?? (isOctetStream ? '' : undefined),
    contentType,
  }
}

/** RFC 7578 s4.2 forbids `filename*`; it is taken where a client sent nothing else. */
function fileNameOf(parameters: ReadonlyMap<string, string>): string | undefined {
  const plain = parameters.get('filename')
  if (plain !== undefined) return utf8(plain)
  const extended = parameters.get('filename*')
  return extended === undefined ? undefined : decodeExtended(extended)
}

/** RFC 8187: `UTF-8''percent-encoded`. What cannot be decoded is no name. */
function decodeExtended(value: string): string {
  const encoded = /^utf-8'[^']*'(.*)$/i.exec(value)?.[1] ?? ''
  try {
    return decodeURIComponent(encoded)
  } catch {
    return ''
  }
}

/** Browsers send UTF-8 in header lines; what is not becomes U+FFFD and later `_`. */
function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8')
}

// `;name=token` or `;name="quoted"`. A backslash escapes a quote or itself and stands for itself
// otherwise: old browsers send `C:\dir\file` as it is. No two of the alternatives begin alike, or a
// header of backslashes without an end would be tried in every way there is to pair them.
const PARAMETER =
  /;[ \t]*([^=;"\s]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\["\\]|\\(?!["\\]))*)"|([^;\s]*))/g

/** Parameters by lower-case name; of a repeated one the first counts. */
function parametersOf(headerValue: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, token = ''] of headerValue.matchAll(PARAMETER)) {
    const key = name.toLowerCase()
    if (parameters.has(key)) continue
    parameters.set(key, quoted === undefined ? token : quoted.replaceAll(/\\(["\\])/g, '$1'))
  }
  return parameters
}
