/** @module What the agent's endpoint answers with, before it is HTTP. */

/** An answer of the agent is HTTP 200; the outcome stands in the envelope (contract/a2a 2.5). */
export type A2aAnswer =
  | {
      readonly kind: 'json'
      readonly body: string
      /** Another than 200 only where nothing was accepted. */
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
    }
  /** One JSON-RPC envelope per element; must be read to its end, also when nobody listens. */
  | { readonly kind: 'stream'; readonly envelopes: AsyncGenerator<string, void, undefined> }

export function jsonAnswer(body: string): A2aAnswer {
  return { kind: 'json', body, status: 200, headers: {} }
}
