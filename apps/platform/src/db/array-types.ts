/**
 * @module One-dimensional arrays on the wire (PostgreSQL manual 8.15). The driver would ask every new
 * connection for the types of all arrays, and a connection that is lost in the middle of that query
 * rejects a promise that nobody holds: the process would end with the database.
 */
import type { PostgresType } from 'postgres'

/** What an element becomes: as the driver reads a value of its type. */
const ELEMENTS = {
  bool: { oid: 1000, parse: (text: string) => text === 't' },
  int2: { oid: 1005, parse: Number },
  int4: { oid: 1007, parse: Number },
  float8: { oid: 1022, parse: Number },
  int8: { oid: 1016, parse: String },
  text: { oid: 1009, parse: String },
  varchar: { oid: 1015, parse: String },
  timestamptz: { oid: 1185, parse: String },
  uuid: { oid: 2951, parse: String },
} as const

type Element = string | number | bigint | boolean | Date | null

/** For the driver's option `types`; it fetches none itself then. */
export const ARRAY_TYPES: Readonly<Record<string, PostgresType>> = Object.fromEntries(
  Object.entries(ELEMENTS).map(([name, { oid, parse }]) => [
    `${name}_array`,
    {
      to: oid,
      from: [oid],
      serialize: (values: unknown) => (Array.isArray(values) ? arrayLiteral(values) : values),
      parse: (text: string) => elementsOf(text).map((each) => (each === null ? null : parse(each))),
    },
  ]),
)

/** `{"a","b",NULL}`: everything that is not NULL is quoted, so that no text can be taken for it. */
export function arrayLiteral(values: readonly Element[]): string {
  return `{${values.map(elementLiteral).join(',')}}`
}

function elementLiteral(value: Element): string {
  if (value === null) return 'NULL'
  const text = value instanceof Date ? value.toISOString() : String(value)
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`
}

const ELEMENT = /"((?:[^"\\]|\\.)*)"|([^,{}"]+)/gs

/** The elements of a one-dimensional array literal as PostgreSQL writes it. */
export function elementsOf(literal: string): (string | null)[] {
  return Array.from(literal.matchAll(ELEMENT), ([, quoted, bare]) => {
    if (quoted !== undefined) return quoted.replaceAll(/\\(.)/gs, '$1')
    return bare === undefined || bare === 'NULL' ? null : bare
  })
}
