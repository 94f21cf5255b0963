/** @module What an answer of the platform means to who has sent a message. Pure. */
import type { Ending } from './sender.ts'

export type Reading =
  | { readonly kind: 'over'; readonly ending: Ending }
  | { readonly kind: 'queued'; readonly queueId: string }
  /** Nothing is certain, or it was said that it may be sent again. */
  | { readonly kind: 'again' }

/** Ends of a row of the ledger that are no answer. */
const FAILED: ReadonlySet<unknown> = new Set(['failed', 'expired', 'dropped', 'dead'])

/** The reply to a message, or the row of the queue that it has become. */
export function readReply(status: number, body: unknown): Reading {
  const reply = record(body)
  const error = record(reply['error'])
  if (typeof error['code'] === 'number') return readError(status, record(error['data']))
  if (typeof reply['queue_id'] === 'string' && reply['status'] === 'queued') {
    return { kind: 'queued', queueId: reply['queue_id'] }
  }
  if (reply['result'] !== undefined) return answered(reply['result'])
  return readRow(status, reply)
}

function readError(status: number, data: Readonly<Record<string, unknown>>): Reading {
  if (data['retryable'] === true || status === 429) return { kind: 'again' }
  const told = [data['code'], data['reason']].filter((text) => typeof text === 'string')
  return failed(told.length === 0 ? `nothing but ${status}` : told.join(': '))
}

function readRow(status: number, row: Readonly<Record<string, unknown>>): Reading {
  if (status !== 200) return { kind: 'again' }
  if (row['status'] === 'completed') {
    const response = record(parsed(row['response_body']))
    const error = record(response['error'])
    if (typeof error['code'] === 'number') return failed(`the agent: ${String(error['message'])}`)
    return answered(response['result'])
  }
  if (!FAILED.has(row['status'])) return { kind: 'again' }
  const told = [row['status'], row['reason'], row['last_error']]
  return failed(told.filter((text) => typeof text === 'string').join(': '))
}

function answered(result: unknown): Reading {
  const { parts } = record(result)
  const [first] = Array.isArray(parts) ? parts : []
  const { text } = record(first)
  return { kind: 'over', ending: { kind: 'answered', text: String(text) } }
}

const failed = (reason: string): Reading => ({ kind: 'over', ending: { kind: 'failed', reason } })

function parsed(value: unknown): unknown {
  return typeof value === 'string' ? JSON.parse(value) : value
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
