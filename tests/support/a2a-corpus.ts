/** @module The corpus of A2A requests (packages/a2a-schema/corpus): what is sent, and what is known about it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isJsonObject, type JsonObject, parseLossless } from '@atrium/a2a-schema/lossless-json'
import { NOTES } from '@atrium/a2a-schema/notes'
import { z } from 'zod'

const CORPUS = join(import.meta.dirname, '../../packages/a2a-schema/corpus')

const common = {
  _comment: z.string().min(1),
  _added: z.iso.date(),
  _source: z.string().min(1),
  _dialect: z.enum(['0.1', '0.3', '1.0', 'unknown']),
  /** Decisions that the entry is an example of: their ids. */
  _rows: z.array(z.string()),
  _headers: z.record(z.string(), z.string()).optional(),
  /** The body, where it is no JSON object; or its bytes, where they are no text. */
  _raw: z.string().optional(),
  _raw_base64: z.base64().optional(),
}

const message = z.custom<JsonObject>((value) => typeof value === 'object' && value !== null)

const validMeta = z.strictObject({
  ...common,
  _normalised: z.array(z.enum(NOTES)),
  _emit_v03: message.optional(),
  _emit_v10: message.optional(),
})

const invalidMeta = z.strictObject({
  ...common,
  _expect_status: z.int(),
  _expect_code: z.int(),
  _expect_error: z.string().min(1),
  _expect_field: z.string().optional(),
})

type Body = { readonly name: string; readonly bytes: Buffer }
export type ValidEntry = Body & { readonly meta: z.infer<typeof validMeta> }
export type InvalidEntry = Body & { readonly meta: z.infer<typeof invalidMeta> }

function entriesOf<Meta extends z.infer<typeof validMeta> | z.infer<typeof invalidMeta>>(
  folder: string,
  schema: z.ZodType<Meta>,
): (Body & { readonly meta: Meta })[] {
  return readdirSync(join(CORPUS, folder)).map((file) => {
    const value = parseLossless(readFileSync(join(CORPUS, folder, file), 'utf8'))
    if (!file.endsWith('.json') || !isJsonObject(value)) throw new Error(`${file} is no entry`)
    const members = Object.entries(value)
    const parsed = schema.safeParse(
      Object.fromEntries(members.filter(([key]) => key.startsWith('_'))),
    )
    if (!parsed.success) throw new Error(`${file}: ${parsed.error.message}`)
    const meta = parsed.data
    const body = Object.fromEntries(members.filter(([key]) => !key.startsWith('_')))
    return { name: file.replace(/\.json$/, ''), meta, bytes: bytesOf(meta, body) }
  })
}

function bytesOf(
  meta: { readonly _raw?: string | undefined; readonly _raw_base64?: string | undefined },
  body: JsonObject,
): Buffer {
  if (meta._raw_base64 !== undefined) return Buffer.from(meta._raw_base64, 'base64')
  // With white space, as no serialiser of ours writes it: who prints it again shows.
  return Buffer.from(meta._raw ?? JSON.stringify(body, null, 1), 'utf8')
}

/** What must be taken, and what of it an agent is given. */
export const validEntries = (): ValidEntry[] => entriesOf('valid', validMeta)

/** What must be refused, aloud and with the right words. */
export const invalidEntries = (): InvalidEntry[] => entriesOf('invalid', invalidMeta)
