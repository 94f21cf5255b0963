/** @module The SDK's events as JSON-RPC texts, with errors where a client can still read them. */
import { type A2aAnswer, jsonAnswer } from './a2a-answer.ts'
import type { Envelope } from './sdk-envelope.ts'

export type StreamFacts = {
  readonly render: (event: Envelope) => string
  /** What the events ended with, as an envelope. */
  readonly renderError: (error: unknown) => string
  readonly alwaysStreams: boolean
}

/** Waits for the first event: a request that is refused is answered as JSON, not as a stream. */
export async function openStream(
  events: AsyncGenerator<Envelope, void, undefined>,
  facts: StreamFacts,
): Promise<A2aAnswer> {
  let first: IteratorResult<Envelope, void>
  try {
    first = await events.next()
  } catch (error) {
    const refusal = facts.renderError(error)
    return facts.alwaysStreams ? { kind: 'stream', envelopes: only(refusal) } : jsonAnswer(refusal)
  }
  if (first.done === true) {
    return jsonAnswer(facts.renderError(new Error('the agent said nothing')))
  }
  return { kind: 'stream', envelopes: envelopesOf(first.value, events, facts) }
}

async function* only(envelope: string): AsyncGenerator<string, void, undefined> {
  yield envelope
}

async function* envelopesOf(
  first: Envelope,
  rest: AsyncGenerator<Envelope, void, undefined>,
  facts: StreamFacts,
): AsyncGenerator<string, void, undefined> {
  yield facts.render(first)
  try {
    for await (const event of rest) yield facts.render(event)
  } catch (error) {
    // The head is out: the error is the last event, and every client stops at it (contract/a2a 2.7).
    yield facts.renderError(error)
  }
}
