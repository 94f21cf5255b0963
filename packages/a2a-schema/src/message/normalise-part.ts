/** @module One part of a message, in the shape of the dialect (contract/a2a 2.3 #7 to #11, #20; 2.4). */
import { done, refused, type Step } from '../field-error.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import { PART_NAMES } from './field-names.ts'
import { mergeFields, renameFields, withoutFields } from './merge-fields.ts'
import { normaliseFile } from './normalise-file.ts'
import type { Pass } from './pass.ts'

export type PartPlace = {
  readonly at: string
  /** `content` comes from senders that write 0.3's proto-JSON, where data is nested once more. */
  readonly isFromContent: boolean
}

/** What a part can hold; in a good one exactly one of these is there. */
const ARMS = ['text', 'file', 'data', 'raw', 'url'] as const
type Arm = (typeof ARMS)[number]

type Kind = 'text' | 'file' | 'data'
const KINDS: Readonly<Record<Arm, Kind>> = {
  text: 'text',
  file: 'file',
  data: 'data',
  raw: 'file',
  url: 'file',
}

function isKind(value: JsonValue | undefined): value is Kind {
  return value === 'text' || value === 'file' || value === 'data'
}

/** The member that says what kind of part this is. */
type Tag = { readonly key: 'kind' | 'type'; readonly kind: Kind }

export function textPart(text: string, { dialect }: Pick<Pass, 'dialect'>): JsonObject {
  return dialect === '1.0' ? { text } : { kind: 'text', text }
}

/** The part in the dialect's shape; the same object when it has it. */
export function normalisePart(value: JsonValue, place: PartPlace, pass: Pass): Step<JsonObject> {
  if (typeof value === 'string') {
    pass.notes.add('part-string')
    return done(textPart(value, pass))
  }
  if (!isJsonObject(value)) return refused(place.at, 'must be an object')
  const unwrapped = unwrapRoot(value, place.at, pass)
  if (!unwrapped.ok) return unwrapped
  const tag = readTag(unwrapped.value, place.at, pass)
  if (!tag.ok) return tag
  const arm = readArm(unwrapped.value, tag.value, place.at)
  if (!arm.ok) return arm
  const clean = withoutNullArms(unwrapped.value, arm.value, pass)
  const shaped = shapeContent({ part: clean, arm: arm.value, tag: tag.value }, place, pass)
  return shaped.ok ? done(tagged(shaped.value, KINDS[arm.value], pass)) : shaped
}

/** `{root: {kind: …}}` is what Python's models print of themselves (#9). */
function unwrapRoot(part: JsonObject, at: string, pass: Pass): Step<JsonObject> {
  const { root } = part
  if (!isJsonObject(root)) return done(part)
  pass.notes.add('part-root')
  return mergeFields(
    withoutFields(part, (name) => name === 'root'),
    root,
    at,
  )
}

/** 1.0 has no tag, so that a strange `type` there is somebody's own member. */
function readTag(part: JsonObject, at: string, pass: Pass): Step<Tag | undefined> {
  const kind = part['kind'] ?? null
  if (isKind(kind)) return done({ key: 'kind', kind })
  if (kind !== null) return refused(at, 'kind must be text, file or data')
  const type = part['type'] ?? null
  if (isKind(type)) return done({ key: 'type', kind: type })
  if (type === null || pass.dialect === '1.0') return done(undefined)
  return refused(at, 'type must be text, file or data')
}

function readArm(part: JsonObject, tag: Tag | undefined, at: string): Step<Arm> {
  const filled = ARMS.filter((arm) => (part[arm] ?? null) !== null)
  const present: readonly Arm[] =
    filled.length === 0 && Object.hasOwn(part, 'data') ? ['data'] : filled
  const [arm] = present
  if (arm === undefined) return refused(at, `has none of ${ARMS.join(', ')}`)
  if (present.length > 1) return refused(at, `has more than one of ${present.join(', ')}`)
  if (tag !== undefined && tag.kind !== KINDS[arm]) {
    return refused(at, `${tag.key} says ${tag.kind}, but there is only ${arm}`)
  }
  return done(arm)
}

const NULLABLE: ReadonlySet<string> = new Set([...ARMS, 'kind', 'type', 'root'])

function withoutNullArms(part: JsonObject, arm: Arm, pass: Pass): JsonObject {
  const isNullArm = (name: string, value: JsonValue): boolean =>
    value === null && name !== arm && NULLABLE.has(name)
  if (!Object.entries(part).some(([name, value]) => isNullArm(name, value))) return part
  pass.notes.add('part-null')
  return withoutFields(part, isNullArm)
}

type Read = { readonly part: JsonObject; readonly arm: Arm; readonly tag: Tag | undefined }

function shapeContent(read: Read, place: PartPlace, pass: Pass): Step<JsonObject> {
  const { part, arm } = read
  const { at } = place
  if (KINDS[arm] === 'file') return normaliseFile({ part, at }, pass)
  if (arm === 'text' && typeof part['text'] !== 'string') {
    return refused(`${at}.text`, 'must be a text')
  }
  const shaped = arm === 'data' ? shapeData(read, place, pass) : done(part)
  if (!shaped.ok || pass.dialect === '0.3') return shaped
  const renamed = renameFields(shaped.value, PART_NAMES, at)
  if (renamed.ok && renamed.value !== shaped.value) pass.notes.add('file-fields')
  return renamed
}

function shapeData({ part, tag }: Read, place: PartPlace, pass: Pass): Step<JsonObject> {
  const given = part['data'] ?? null
  const nested = place.isFromContent && tag === undefined ? nestedData(given) : undefined
  if (nested !== undefined) pass.notes.add('data-nested')
  const data = nested ?? given
  const shaped = nested === undefined ? part : { ...part, data }
  if (pass.dialect === '1.0' || isJsonObject(data)) return done(shaped)
  if (tag !== undefined) return refused(`${place.at}.data`, 'must be an object')
  return done(wrapped(shaped, data, pass))
}

/** `{data: {data: {…}}}` (contract/a2a 1.3). */
function nestedData(data: JsonValue): JsonObject | undefined {
  if (!isJsonObject(data) || Object.keys(data).length !== 1) return undefined
  const inner = data['data']
  return isJsonObject(inner) ? inner : undefined
}

/** The SDK's reversible way to say to 0.3 what only 1.0 can (#11). */
function wrapped(part: JsonObject, value: JsonValue, pass: Pass): JsonObject {
  pass.notes.add('data-wrapped')
  const own = isJsonObject(part['metadata']) ? part['metadata'] : {}
  return { ...part, data: { value }, metadata: { ...own, data_part_compat: true } }
}

function tagged(part: JsonObject, kind: Kind, pass: Pass): JsonObject {
  return pass.dialect === '0.3' ? withKind(part, kind, pass) : withoutTag(part, kind, pass)
}

function withKind(part: JsonObject, kind: Kind, pass: Pass): JsonObject {
  if (part['kind'] === kind) return part
  if (part['type'] !== kind) {
    pass.notes.add('part-kind')
    return { kind, ...part }
  }
  pass.notes.add('part-type')
  return Object.fromEntries(
    Object.entries(part).map(([name, value]) => [name === 'type' ? 'kind' : name, value]),
  )
}

function withoutTag(part: JsonObject, kind: Kind, pass: Pass): JsonObject {
  const isTag = (name: string, value: JsonValue): boolean =>
    value === kind && (name === 'kind' || name === 'type')
  if (part['kind'] === kind) pass.notes.add('part-kind')
  if (part['type'] === kind) pass.notes.add('part-type')
  return Object.entries(part).some(([name, value]) => isTag(name, value))
    ? withoutFields(part, isTag)
    : part
}
