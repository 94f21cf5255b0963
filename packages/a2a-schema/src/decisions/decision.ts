/** @module What a decision about a message is, and the words that the tables of them are written in. */
import type { JsonObject, JsonValue } from '../lossless-json.ts'
import type { Note } from '../message/pass.ts'

/** A: accepted silently. N: accepted, and the sender is told. R: refused, at `field`. */
export type Outcome =
  | { readonly verdict: 'A'; readonly message: JsonObject }
  | { readonly verdict: 'N'; readonly message: JsonObject; readonly notes: readonly Note[] }
  | { readonly verdict: 'R'; readonly field: string }

export type Decision = {
  readonly id: string
  readonly says: string
  /** The parameters as they come, under `message/send` and under `SendMessage`. */
  readonly params: JsonObject
  readonly '0.3': Outcome
  readonly '1.0': Outcome
}

/** Stands in `message` for an id that was made. */
export const MINTED = 'minted-id'

export const PARTS = 'params.message.parts'
export const FIRST_PART = 'params.message.parts[0]'
export const OWN = { messageId: 'm', role: 'user' } as const

export const sent = (fields: JsonObject): JsonObject => ({ message: { ...OWN, ...fields } })
export const sentPart = (part: JsonValue): JsonObject => sent({ parts: [part] })

export const legacy = (parts: readonly JsonValue[], fields: JsonObject = {}): JsonObject => ({
  kind: 'message',
  ...OWN,
  ...fields,
  parts,
})
export const current = (parts: readonly JsonValue[], fields: JsonObject = {}): JsonObject => ({
  ...OWN,
  role: 'ROLE_USER',
  ...fields,
  parts,
})

export const accepted = (message: JsonObject): Outcome => ({ verdict: 'A', message })
export const noted = (message: JsonObject, ...notes: readonly Note[]): Outcome => ({
  verdict: 'N',
  message,
  notes,
})
export const refusedAt = (field: string): Outcome => ({ verdict: 'R', field })
export const refusedBoth = (field: string): Pick<Decision, '0.3' | '1.0'> => ({
  '0.3': refusedAt(field),
  '1.0': refusedAt(field),
})
/** The same parts in both dialects, and the same words about them. */
export const textBoth = (
  text: string,
  ...notes: readonly Note[]
): Pick<Decision, '0.3' | '1.0'> => ({
  '0.3': noted(legacy([{ kind: 'text', text }]), ...notes),
  '1.0': noted(current([{ text }]), ...notes),
})

export const HI = { kind: 'text', text: 'hi' }
export const PLAIN = { text: 'hi' }
export const LEGACY_FILE = {
  kind: 'file',
  file: { bytes: 'QQ==', name: 'a.png', mimeType: 'image/png' },
}
export const FLAT_FILE = { raw: 'QQ==', filename: 'a.png', mediaType: 'image/png' }
export const LEGACY_LINK = { kind: 'file', file: { uri: 'https://example.com/a' } }
export const FLAT_LINK = { url: 'https://example.com/a' }
