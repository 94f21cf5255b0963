/** @module What of an answer's text is kept, so that it can be told again to another call. */
import type { DeliveryRecord } from './delivery-record.ts'

type Outcome = NonNullable<DeliveryRecord['outcome']>

/** `result` or `error` of an envelope of ours. */
export function outcomeOf(envelope: string): Outcome {
  const value: unknown = JSON.parse(envelope)
  if (typeof value !== 'object' || value === null) return {}
  if ('error' in value) return { error: value.error }
  return 'result' in value ? { result: value.result } : {}
}

/** Of a stream only what is no event of a task: those are told by the task itself. */
export function firstOutcome(envelope: string): Outcome | undefined {
  const outcome = outcomeOf(envelope)
  const { result } = outcome
  if (typeof result !== 'object' || result === null) return outcome
  const isMessage = 'message' in result || ('kind' in result && result.kind === 'message')
  return isMessage ? outcome : undefined
}
