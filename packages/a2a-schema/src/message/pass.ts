/** @module One request on its way through the rules: what they know, and what they leave word of. */

/**
 * What was accepted although it is not what the dialect asks for. Told to the sender in
 * `X-A2A-Normalized`, so that the names are part of the interface.
 */
export const NOTES = [
  'envelope',
  'v0.1',
  'flattened',
  'snake-case',
  'message-id',
  'role',
  'content-string',
  'content-list',
  'content-object',
  'content-dropped',
  'parts-string',
  'parts-object',
  'part-string',
  'part-type',
  'part-kind',
  'part-root',
  'part-null',
  'file-fields',
  'data-nested',
  'data-wrapped',
  'base64',
  'configuration',
] as const
export type Note = (typeof NOTES)[number]

/** The dialects that a message can end in; 0.1 ends in 0.3. */
export type MessageDialect = '0.3' | '1.0'

export type Pass = {
  readonly dialect: MessageDialect
  readonly ids: { uuid(): string }
  readonly notes: Set<Note>
  /** Set when the sender gave its message no id. */
  mintedMessageId: string | undefined
}
