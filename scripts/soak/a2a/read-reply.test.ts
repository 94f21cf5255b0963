import { describe, expect, it } from 'vitest'
import { readReply } from './read-reply.ts'

const over = (ending: object) => ({ kind: 'over', ending })
const message = (text: string) => ({ kind: 'message', parts: [{ kind: 'text', text }] })

describe('readReply', () => {
  it('takes the result of a message for its answer', () => {
    const reply = { jsonrpc: '2.0', id: 1, result: message('did m-1') }
    expect(readReply(200, reply)).toEqual(over({ kind: 'answered', text: 'did m-1' }))
  })

  it('takes an acknowledgement for a place in the queue, and never for an answer', () => {
    const task = { kind: 'task', id: 'q-1', status: { state: 'submitted' } }
    const reply = { jsonrpc: '2.0', id: 1, result: task, status: 'queued', queue_id: 'q-1' }
    for (const status of [200, 202]) {
      expect(readReply(status, reply)).toEqual({ kind: 'queued', queueId: 'q-1' })
    }
  })

  it('sends again what may be sent again, and nothing else', () => {
    const error = (data: object) => ({ jsonrpc: '2.0', id: 1, error: { code: -32603, data } })
    expect(readReply(503, error({ code: 'database_unavailable', retryable: true }))).toEqual({
      kind: 'again',
    })
    expect(
      readReply(502, error({ code: 'delivery_failed', reason: 'agent_error', retryable: false })),
    ).toEqual(over({ kind: 'failed', reason: 'delivery_failed: agent_error' }))
  })

  it('asks on while a row of the queue is open', () => {
    for (const status of ['queued', 'leased', 'dispatched']) {
      expect(readReply(200, { queue_id: 'q-1', state: status })).toEqual({ kind: 'again' })
    }
    expect(readReply(404, { error: 'no', code: 'delivery_not_found' })).toEqual({ kind: 'again' })
  })
})
