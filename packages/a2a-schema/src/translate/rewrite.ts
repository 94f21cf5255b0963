/** @module Objects written anew field by field: what no rule names stays as it is, where it is. */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'

/** What becomes of a field: the entries in its place; none leaves it out. */
export type FieldRule = (value: JsonValue) => readonly (readonly [string, JsonValue])[]

export type FieldRules = ReadonlyMap<string, FieldRule>

/** Applies the rules to the fields they name, and keeps the order and every other field. */
export function rewrite(object: JsonObject, rules: FieldRules): JsonObject {
  return Object.fromEntries(
    Object.entries(object).flatMap(([name, value]) => rules.get(name)?.(value) ?? [[name, value]]),
  )
}

/** The field keeps its name and its value becomes another one. */
export function mapped(name: string, to: (value: JsonValue) => JsonValue): [string, FieldRule] {
  return [name, (value) => [[name, to(value)]]]
}

/** The field is called otherwise, and its value may become another one. */
export function renamed(
  name: string,
  newName: string,
  to: (value: JsonValue) => JsonValue = (value) => value,
): [string, FieldRule] {
  return [name, (value) => [[newName, to(value)]]]
}

/** The field is not written. */
export function dropped(name: string): [string, FieldRule] {
  return [name, () => []]
}

/** An empty string is how ProtoJSON may write that a field is not set; 0.3 leaves such a field out. */
export function droppedWhenEmpty(name: string): [string, FieldRule] {
  return [name, (value) => (value === '' ? [] : [[name, value]])]
}

/** The function over a list; what is no list is left as it is. */
export function each(to: (item: JsonValue) => JsonValue): (list: JsonValue) => JsonValue {
  return (list) => (Array.isArray(list) ? list.map((item: JsonValue) => to(item)) : list)
}

/** The function over an object; what is no object is left as it is. */
export function object(to: (value: JsonObject) => JsonValue): (value: JsonValue) => JsonValue {
  return (value) => (isJsonObject(value) ? to(value) : value)
}

/** The object without the named fields. */
export function without(value: JsonObject, ...names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)))
}

/** The object with the fields that it lacks at its end. */
export function withDefaults(value: JsonObject, defaults: JsonObject): JsonObject {
  const missing = Object.entries(defaults).filter(([name]) => value[name] === undefined)
  return missing.length === 0 ? value : { ...value, ...Object.fromEntries(missing) }
}
