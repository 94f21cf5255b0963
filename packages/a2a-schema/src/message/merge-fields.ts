/** @module Two ways to say one thing become one, and never does one of two different things get lost. */
import { done, refused, type Step } from '../field-error.ts'
import type { JsonObject, JsonValue } from '../lossless-json.ts'
import type { FieldNames } from './field-names.ts'

/** Null is absent, as in ProtoJSON; so is the empty text, which is ProtoJSON's default. */
function isAbsent(value: JsonValue | undefined): boolean {
  return value === undefined || value === null || value === ''
}

/** Whether both print the same. What is nested too deep to print is the same as nothing. */
export function isSameJson(one: JsonValue | undefined, other: JsonValue | undefined): boolean {
  if (one === other) return true
  try {
    return JSON.stringify(one) === JSON.stringify(other)
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

function unite(entries: readonly (readonly [string, JsonValue])[], at: string): Step<JsonObject> {
  const united = new Map<string, JsonValue>()
  for (const [name, value] of entries) {
    const known = united.get(name)
    if (isAbsent(known)) united.set(name, value)
    else if (!isAbsent(value) && !isSameJson(known, value)) {
      return refused(`${at}.${name}`, 'is given twice, and differently')
    }
  }
  return done(Object.fromEntries(united))
}

/** The same object when it has none of the other names. `at` is its path. */
export function renameFields(object: JsonObject, names: FieldNames, at: string): Step<JsonObject> {
  const entries = Object.entries(object)
  if (!entries.some(([name]) => names.has(name))) return done(object)
  return unite(
    entries.map(([name, value]) => [names.get(name) ?? name, value] as const),
    at,
  )
}

/** `base` with the members of `added`. `at` is the path of what comes out. */
export function mergeFields(base: JsonObject, added: JsonObject, at: string): Step<JsonObject> {
  return unite([...Object.entries(base), ...Object.entries(added)], at)
}

/** The object without the members that `isDropped` names. */
export function withoutFields(
  object: JsonObject,
  isDropped: (name: string, value: JsonValue) => boolean,
): JsonObject {
  return Object.fromEntries(
    Object.entries(object).filter(([name, value]) => !isDropped(name, value)),
  )
}
