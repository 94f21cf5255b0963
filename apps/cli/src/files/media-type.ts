/** @module What kind of file a local file is, told to the agent as `mimeType`. */
import { passiveTypeFor } from '@atrium/http-kit/file-response'

/**
 * Types that this system never *serves* (see `contentTypeFor`), but that an agent must hear about:
 * a PDF that arrives as octet-stream would not be read.
 */
const ACTIVE_TYPES: Readonly<Record<string, string>> = Object.freeze({
  css: 'text/css',
  htm: 'text/html',
  html: 'text/html',
  js: 'text/javascript',
  mjs: 'text/javascript',
  pdf: 'application/pdf',
  svg: 'image/svg+xml',
  xml: 'application/xml',
})

/** The media type of a file name's extension; `application/octet-stream` when it says nothing. */
export function mediaTypeFor(fileName: string): string {
  const passive = passiveTypeFor(fileName)
  if (passive !== undefined) return passive
  const extension = fileName.slice(fileName.lastIndexOf('.') + 1).toLowerCase()
  const active = Object.hasOwn(ACTIVE_TYPES, extension) ? ACTIVE_TYPES[extension] : undefined
  return active ?? 'application/octet-stream'
}
