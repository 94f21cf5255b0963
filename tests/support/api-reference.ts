/** @module The API's reference as a judge of real answers. */
import { Ajv2020, type AnySchema } from 'ajv/dist/2020.js'

type Json = Readonly<Record<string, unknown>>
export type ReferenceDocument = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>
}

/** Judges answers by a document, and stricter than it: a member that it does not name is wrong. */
export class ApiReference {
  readonly #ajv: Ajv2020

  constructor(document: ReferenceDocument) {
    this.#ajv = new Ajv2020({
      strict: false,
      allErrors: true,
      formats: {
        uuid: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
        'date-time': (text: string) => new Date(text).toISOString() === text,
      },
    })
    this.#ajv.addSchema(closed(document) as AnySchema, 'reference')
  }

  /** What is wrong with an answer; undefined when it is as described. */
  problemOf(
    route: { readonly method: string; readonly path: string },
    answer: { readonly status: number; readonly body: unknown },
  ): string | undefined {
    const path = route.path.replaceAll(/:([A-Za-z]+)/g, '{$1}').replaceAll('/', '~1')
    const pointer = [
      'paths',
      path,
      route.method.toLowerCase(),
      'responses',
      String(answer.status),
      'content',
      'application~1json',
      'schema',
    ]
    const name = `reference#/${pointer.map(encodeURIComponent).join('/')}`
    const judge = this.#ajv.getSchema(name)
    if (judge === undefined) return `no answer ${answer.status} is described`
    return judge(answer.body) ? undefined : this.#ajv.errorsText(judge.errors)
  }
}

function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed)
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(Object.entries(value).map(([key, each]) => [key, closed(each)]))
  const isObjectSchema = copy['type'] === 'object' && 'properties' in copy
  return isObjectSchema && !('additionalProperties' in copy)
    ? { ...copy, additionalProperties: false }
    : copy
}
