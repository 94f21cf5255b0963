/** @module Zod schemas as the JSON Schemas of one OpenAPI document; named ones become components. */
import { z } from 'zod'

export type JsonSchema = Readonly<Record<string, unknown>>

/**
 * Collects. A schema with an id (`.meta({ id })`) is told once and referred to from everywhere;
 * what is accepted is told, not what is made of it, and answers stay open for new members.
 */
export class JsonSchemas {
  readonly #components = new Map<string, JsonSchema>()

  get components(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries([...this.#components].sort(([a], [b]) => a.localeCompare(b)))
  }

  /** The schema, or a reference to it. */
  of(schema: z.ZodType): JsonSchema {
    // Inside another, so that a named schema becomes a reference at the top as well.
    const { properties, $defs } = z.toJSONSchema(z.object({ it: schema }), {
      io: 'input',
      unrepresentable: 'any',
      override: ({ jsonSchema }) => {
        // Two ways to say the same, and of the two a person reads this one.
        if (jsonSchema.format !== undefined) Reflect.deleteProperty(jsonSchema, 'pattern')
        Reflect.deleteProperty(jsonSchema, 'propertyNames')
        const { maximum, minimum } = jsonSchema
        if (maximum === Number.MAX_SAFE_INTEGER) Reflect.deleteProperty(jsonSchema, 'maximum')
        if (minimum === Number.MIN_SAFE_INTEGER) Reflect.deleteProperty(jsonSchema, 'minimum')
      },
    })
    for (const [name, definition] of Object.entries($defs ?? {})) {
      const { id: _, ...rest } = asObject(referring(definition))
      this.#components.set(name, rest)
    }
    return asObject(referring(properties?.['it'] ?? {}))
  }
}

/** JSON Schema's own place for definitions is none in an OpenAPI document. */
function referring(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/'))
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
