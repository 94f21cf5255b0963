/** @module Parts of messages and artifacts between the dialects (contract/a2a 1.3, 2.3 row 11). */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import { type FieldRules, rewrite, without } from './rewrite.ts'

/** Says that `data` is `{value}` around what 0.3 cannot hold; the official SDK's convention. */
const WRAPPED = 'data_part_compat'

/** Keeps what a sender of 1.0 had itself under the name of the convention. */
const SHADOWED = 'urn:atrium:a2a:data_part_compat'

/** Keeps the fields of 0.3's `file` object that 1.0, which has no such object, knows no name for. */
const FILE_EXTRAS = 'urn:atrium:a2a:file'

const FILE_NAMES_V10: ReadonlyMap<string, string> = new Map([
  ['bytes', 'raw'],
  ['uri', 'url'],
  ['mimeType', 'mediaType'],
  ['name', 'filename'],
])

const FILE_NAMES_V03: ReadonlyMap<string, string> = new Map(
  [...FILE_NAMES_V10].map(([legacy, name]) => [name, legacy]),
)

/** The part with its metadata replaced, or without any when nothing is left of it. */
function withMetadata(part: JsonObject, metadata: JsonObject): JsonObject {
  return Object.keys(metadata).length === 0 ? without(part, 'metadata') : { ...part, metadata }
}

function metadataOf(part: JsonObject): JsonObject {
  const metadata = part['metadata']
  return isJsonObject(metadata) ? metadata : {}
}

function fileToV10(part: JsonObject, file: JsonObject): JsonObject {
  const known = Object.entries(file).filter(([name]) => FILE_NAMES_V10.has(name))
  const extras = without(file, ...FILE_NAMES_V10.keys())
  const inline: FieldRules = new Map([
    ['kind', () => []],
    [
      'file',
      () => known.map(([name, value]) => [FILE_NAMES_V10.get(name) ?? name, value] as const),
    ],
  ])
  const flat = rewrite(part, inline)
  return Object.keys(extras).length === 0
    ? flat
    : withMetadata(flat, { ...metadataOf(part), [FILE_EXTRAS]: extras })
}

function fileToV03(part: JsonObject): JsonObject {
  const known = Object.entries(part).filter(([name]) => FILE_NAMES_V03.has(name))
  const rest = without(part, ...FILE_NAMES_V03.keys())
  const named = Object.fromEntries(
    known.map(([name, value]) => [FILE_NAMES_V03.get(name) ?? name, value]),
  )
  const metadata = metadataOf(part)
  const extras = metadata[FILE_EXTRAS]
  return isJsonObject(extras)
    ? withMetadata(
        { kind: 'file', file: { ...extras, ...named }, ...rest },
        without(metadata, FILE_EXTRAS),
      )
    : { kind: 'file', file: named, ...rest }
}

function isWrapped(data: JsonValue | undefined, metadata: JsonObject): data is JsonObject {
  if (metadata[WRAPPED] !== true || !isJsonObject(data)) return false
  return Object.hasOwn(data, 'value') && Object.keys(data).length === 1
}

function dataToV10(part: JsonObject): JsonObject {
  const bare = without(part, 'kind')
  const { data } = part
  const metadata = metadataOf(part)
  if (!isWrapped(data, metadata)) return bare
  const shadowed = metadata[SHADOWED]
  const own = without(metadata, WRAPPED, SHADOWED)
  return withMetadata(
    { ...bare, data: data['value'] ?? null },
    shadowed === undefined ? own : { ...own, [WRAPPED]: shadowed },
  )
}

function dataToV03(part: JsonObject, data: JsonValue): JsonObject {
  const metadata = metadataOf(part)
  const own = metadata[WRAPPED]
  if (isJsonObject(data) && own === undefined) return { kind: 'data', ...part }
  const shadow = own === undefined ? {} : { [SHADOWED]: own }
  return {
    kind: 'data',
    ...part,
    data: { value: data },
    metadata: { ...metadata, ...shadow, [WRAPPED]: true },
  }
}

/** The part as 1.0 writes it. One that is written so already, or that nobody can read, stays. */
export function partToV10(part: JsonValue): JsonValue {
  if (!isJsonObject(part)) return part
  const { kind, file } = part
  if (kind === 'file' && isJsonObject(file)) return fileToV10(part, file)
  if (kind === 'data') return dataToV10(part)
  return kind === 'text' ? without(part, 'kind') : part
}

/** The part as 0.3 writes it. One that is written so already, or that nobody can read, stays. */
export function partToV03(part: JsonValue): JsonValue {
  if (!isJsonObject(part) || part['kind'] !== undefined) return part
  if (Object.hasOwn(part, 'text')) return { kind: 'text', ...part }
  if (Object.hasOwn(part, 'raw') || Object.hasOwn(part, 'url')) return fileToV03(part)
  const { data } = part
  return data === undefined ? part : dataToV03(part, data)
}
