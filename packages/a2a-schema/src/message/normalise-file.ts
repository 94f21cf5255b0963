/** @module A file in a part: nested as in 0.3, flat as in 1.0, under every name (contract/a2a 2.3 #10). */
import { done, refused, type Step } from '../field-error.ts'
import { isJsonObject, type JsonObject } from '../lossless-json.ts'
import { toStandardBase64 } from './base64.ts'
import { FILE_NAMES, FLAT_FILE_NAMES, FLATTENED_NAMES } from './field-names.ts'
import { mergeFields, renameFields, withoutFields } from './merge-fields.ts'
import type { Pass } from './pass.ts'

type FilePart = { readonly part: JsonObject; readonly at: string }

const FLAT_MEMBERS: ReadonlySet<string> = new Set(['raw', 'url', 'mediaType', 'filename'])

/** A part whose content is `file`, `raw` or `url`, in the shape of the pass's dialect. */
export function normaliseFile(given: FilePart, pass: Pass): Step<JsonObject> {
  const { part, at } = given
  if (part['file'] !== undefined) {
    return pass.dialect === '0.3' ? cleanNested(given, pass) : flatten(given, pass)
  }
  const flat = cleanFlat(part, at, pass)
  return flat.ok && pass.dialect === '0.3' ? done(nest(flat.value, pass)) : flat
}

function cleanNested({ part, at }: FilePart, pass: Pass): Step<JsonObject> {
  const file = cleanFile({ part, at }, pass)
  if (!file.ok) return file
  return done(file.value === part['file'] ? part : { ...part, file: file.value })
}

/** The `file` with the names of 0.3, and exactly one content. */
function cleanFile({ part, at }: FilePart, pass: Pass): Step<JsonObject> {
  const place = `${at}.file`
  const { file } = part
  if (!isJsonObject(file)) return refused(place, 'must be an object')
  const renamed = renameFields(file, FILE_NAMES, place)
  if (!renamed.ok) return renamed
  if (renamed.value !== file) pass.notes.add('file-fields')
  const bytes = renamed.value['bytes'] ?? null
  const uri = renamed.value['uri'] ?? null
  if (bytes !== null && uri !== null) return refused(place, 'has both uri and bytes')
  if (bytes === null && uri === null) return refused(place, 'must have uri or bytes')
  const only = withoutNulls(renamed.value, pass)
  return bytes === null
    ? withUrl(only, 'uri', place)
    : withBase64({ part: only, at: place }, 'bytes', pass)
}

function withoutNulls(file: JsonObject, pass: Pass): JsonObject {
  if (file['bytes'] !== null && file['uri'] !== null) return file
  pass.notes.add('part-null')
  return withoutFields(
    file,
    (name, value) => value === null && (name === 'bytes' || name === 'uri'),
  )
}

function withUrl(holder: JsonObject, name: string, at: string): Step<JsonObject> {
  const value = holder[name]
  const isUrl = typeof value === 'string' && value !== ''
  return isUrl ? done(holder) : refused(`${at}.${name}`, 'must be a text that is not empty')
}

function withBase64({ part, at }: FilePart, name: string, pass: Pass): Step<JsonObject> {
  const value = part[name]
  const standard = typeof value === 'string' ? toStandardBase64(value) : undefined
  if (standard === undefined) return refused(`${at}.${name}`, 'must be base64')
  if (standard === value) return done(part)
  pass.notes.add('base64')
  return done({ ...part, [name]: standard })
}

function cleanFlat(part: JsonObject, at: string, pass: Pass): Step<JsonObject> {
  const renamed = renameFields(part, FLAT_FILE_NAMES, at)
  if (!renamed.ok) return renamed
  if (renamed.value !== part) pass.notes.add('file-fields')
  return renamed.value['raw'] === undefined
    ? withUrl(renamed.value, 'url', at)
    : withBase64({ part: renamed.value, at }, 'raw', pass)
}

/** 0.3 to 1.0: the members of the file become the part's. */
function flatten({ part, at }: FilePart, pass: Pass): Step<JsonObject> {
  const file = cleanFile({ part, at }, pass)
  if (!file.ok) return file
  const flat = renameFields(file.value, FLATTENED_NAMES, at)
  if (!flat.ok) return flat
  const rest = renameFields(
    withoutFields(part, (name) => name === 'file'),
    FLAT_FILE_NAMES,
    at,
  )
  if (!rest.ok) return rest
  pass.notes.add('file-fields')
  return mergeFields(rest.value, flat.value, at)
}

/** 1.0 to 0.3: what belongs to the file moves into it. */
function nest(part: JsonObject, pass: Pass): JsonObject {
  pass.notes.add('file-fields')
  const { raw, url, mediaType, filename } = part
  const file: JsonObject = {
    ...(raw === undefined ? {} : { bytes: raw }),
    ...(url === undefined ? {} : { uri: url }),
    ...(filename === undefined ? {} : { name: filename }),
    ...(mediaType === undefined ? {} : { mimeType: mediaType }),
  }
  return { ...withoutFields(part, (name) => FLAT_MEMBERS.has(name)), file }
}
