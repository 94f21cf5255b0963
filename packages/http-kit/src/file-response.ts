/**
 * @module The headers of every answer that carries a file, on both hops. The runtime sends them;
 * the platform builds them again and ignores what the workspace sent (design/path-safety s5).
 */

/**
 * Attachment and CSP do not stop `<script src>`, so active types are served as octet-stream as
 * well (see `contentTypeFor`), and nosniff keeps the browser from guessing them back.
 */
export const FILE_SECURITY_HEADERS: Readonly<Record<string, string>> = Object.freeze({
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'private, no-store',
  'X-Frame-Options': 'DENY',
})

const OCTET_STREAM = 'application/octet-stream'
const TEXT = 'text/plain; charset=utf-8'

/**
 * Passive types by extension. Whatever a browser could execute or render as a document (html,
 * xhtml, svg, xml, js, css, wasm, pdf, swf, mhtml) is absent on purpose: absent means octet-stream.
 */
const PASSIVE_TYPES: Readonly<Record<string, string>> = Object.freeze({
  '7z': 'application/x-7z-compressed',
  aac: 'audio/aac',
  avif: 'image/avif',
  bmp: 'image/bmp',
  bz2: 'application/x-bzip2',
  csv: 'text/csv; charset=utf-8',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  flac: 'audio/flac',
  gif: 'image/gif',
  gz: 'application/gzip',
  heic: 'image/heic',
  ico: 'image/x-icon',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  json: 'application/json',
  jsonl: 'application/x-ndjson',
  log: TEXT,
  m4a: 'audio/mp4',
  md: 'text/markdown; charset=utf-8',
  mov: 'video/quicktime',
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  ndjson: 'application/x-ndjson',
  odt: 'application/vnd.oasis.opendocument.text',
  ogg: 'audio/ogg',
  opus: 'audio/ogg',
  parquet: 'application/vnd.apache.parquet',
  png: 'image/png',
  pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  tar: 'application/x-tar',
  tgz: 'application/gzip',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  toml: TEXT,
  tsv: 'text/tab-separated-values; charset=utf-8',
  txt: TEXT,
  wav: 'audio/wav',
  weba: 'audio/webm',
  webm: 'video/webm',
  webp: 'image/webp',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  xz: 'application/x-xz',
  yaml: TEXT,
  yml: TEXT,
  zip: 'application/zip',
  zst: 'application/zstd',
})

/** The passive media type of a file name's extension, or undefined when there is none. */
export function passiveTypeFor(fileName: string): string | undefined {
  const dot = fileName.lastIndexOf('.')
  if (dot < 0) return undefined
  const extension = fileName.slice(dot + 1).toLowerCase()
  return Object.hasOwn(PASSIVE_TYPES, extension) ? PASSIVE_TYPES[extension] : undefined
}

/**
 * The Content-Type under which a file may be served, judged by its name alone: never sniffed,
 * never taken from a client. Unknown and active types are `application/octet-stream`.
 */
export function contentTypeFor(fileName: string): string {
  return passiveTypeFor(fileName) ?? OCTET_STREAM
}
