/** @module Where the text of a message is: `parts`, or the `content` of older senders (contract/a2a 2.3 #3 to #7). */
import { done, refused, type Step } from '../field-error.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import { isSameJson, withoutFields } from './merge-fields.ts'
import { normalisePart, textPart } from './normalise-part.ts'
import type { Note, Pass } from './pass.ts'

const PARTS_FIELD = 'params.message.parts'

type Source = {
  readonly key: 'parts' | 'content'
  readonly at: string
  readonly notes: {
    readonly string: Note
    readonly object: Note
    /** Undefined where a list is what the dialect asks for. */
    readonly list: Note | undefined
  }
}

const PARTS: Source = {
  key: 'parts',
  at: PARTS_FIELD,
  notes: { string: 'parts-string', object: 'parts-object', list: undefined },
}
const CONTENT: Source = {
  key: 'content',
  at: 'params.message.content',
  notes: { string: 'content-string', object: 'content-object', list: 'content-list' },
}

/** The message with `parts` and without `content`; the same object when it is so. */
export function normaliseBody(message: JsonObject, pass: Pass): Step<JsonObject> {
  const { content } = message
  const given = message['parts'] ?? null
  if (given === null) return bodyFromContent(message, content ?? null, pass)
  const parts = readParts(given, PARTS, pass)
  if (!parts.ok) return parts
  const replaced = parts.value === given ? message : { ...message, parts: parts.value }
  return content === undefined ? done(replaced) : dropContent(replaced, parts.value, pass)
}

function bodyFromContent(message: JsonObject, content: JsonValue, pass: Pass): Step<JsonObject> {
  if (content === null) {
    return refused(PARTS_FIELD, 'missing: the message has neither parts nor content')
  }
  const parts = readParts(content, CONTENT, pass)
  if (!parts.ok) return parts
  const rest = Object.entries(message).filter(([name]) => name !== 'parts')
  return done(
    Object.fromEntries(
      rest.map(([name, value]) => (name === 'content' ? ['parts', parts.value] : [name, value])),
    ),
  )
}

/** `parts` wins; `content` may only be dropped when nothing is lost with it (contract/a2a 2.4). */
function dropContent(
  message: JsonObject,
  parts: readonly JsonValue[],
  pass: Pass,
): Step<JsonObject> {
  const content = message['content'] ?? null
  if (content !== null && content !== '' && !isSaidBy(parts, content, pass)) {
    return refused(PARTS_FIELD, 'both content and parts, and they differ')
  }
  pass.notes.add('content-dropped')
  return done(withoutFields(message, (name) => name === 'content'))
}

function isSaidBy(parts: readonly JsonValue[], content: JsonValue, pass: Pass): boolean {
  // What the content was made of is nobody's concern when it is dropped.
  const read = readParts(content, CONTENT, { ...pass, notes: new Set() })
  if (!read.ok) return false
  if (isSameJson(read.value, parts)) return true
  const [said, texts] = [textsOf(read.value), textsOf(parts)]
  if (said.length < read.value.length) return false
  return said.join('') === texts.join('') || said.join('\n') === texts.join('\n')
}

function textsOf(parts: readonly JsonValue[]): string[] {
  return parts.flatMap((part) => {
    const text = isJsonObject(part) ? part['text'] : undefined
    return typeof text === 'string' ? [text] : []
  })
}

/** The parts that `value` stands for; the same list when all of them are as they should be. */
function readParts(value: JsonValue, source: Source, pass: Pass): Step<readonly JsonValue[]> {
  const { at, key, notes } = source
  if (typeof value === 'string') {
    if (value === '') return refused(PARTS_FIELD, `at least one part: ${key} is empty`)
    pass.notes.add(notes.string)
    return done([textPart(value, pass)])
  }
  if (Array.isArray(value)) return readList(value, source, pass)
  if (!isJsonObject(value)) {
    return refused(PARTS_FIELD, `missing: ${key} is neither a text nor a list of parts`)
  }
  pass.notes.add(notes.object)
  const part = normalisePart(value, { at, isFromContent: key === 'content' }, pass)
  return part.ok ? done([part.value]) : part
}

function readList(
  list: readonly JsonValue[],
  { at, key, notes }: Source,
  pass: Pass,
): Step<readonly JsonValue[]> {
  if (list.length === 0) return refused(PARTS_FIELD, `at least one part: ${key} is empty`)
  if (notes.list !== undefined) pass.notes.add(notes.list)
  const parts: JsonObject[] = []
  for (const [index, value] of list.entries()) {
    const place = { at: `${at}[${index}]`, isFromContent: key === 'content' }
    const part = normalisePart(value, place, pass)
    if (!part.ok) return part
    parts.push(part.value)
  }
  return done(parts.every((part, index) => part === list[index]) ? list : parts)
}
