import { describe, expect, it } from 'vitest'
import { DECISIONS } from '../decisions/decisions.ts'
import type { JsonObject, JsonValue } from '../lossless-json.ts'
import type { Operation } from '../method.ts'
import { translateRequest } from './request.ts'

/** What both dialects accept, as each writes it: the tables of normalisation say so. */
const ACCEPTED = DECISIONS.flatMap((decision) => {
  const legacy = decision['0.3']
  const current = decision['1.0']
  return legacy.verdict === 'R' || current.verdict === 'R'
    ? []
    : [[decision.id, { message: legacy.message }, { message: current.message }] as const]
})

describe('translateRequest and normalisation', () => {
  it.each(ACCEPTED)('agree on %s from 0.3 to 1.0', (_id, legacy, current) => {
    expect(translateRequest({ operation: 'send', params: legacy }, '0.3', '1.0')).toEqual(current)
  })

  it.each(ACCEPTED)('agree on %s from 1.0 to 0.3', (_id, legacy, current) => {
    expect(translateRequest({ operation: 'stream', params: current }, '1.0', '0.3')).toEqual(legacy)
  })

  it('have enough in common to agree on', () => {
    expect(ACCEPTED.length).toBeGreaterThan(30)
  })
})

const PAIRS: readonly (readonly [Operation, JsonObject, JsonObject])[] = [
  ['get', { id: 't', historyLength: 2 }, { id: 't', historyLength: 2 }],
  ['cancel', { id: 't', metadata: { a: 1 } }, { id: 't', metadata: { a: 1 } }],
  ['subscribe', { id: 't' }, { id: 't' }],
  ['push_get', { id: 't', pushNotificationConfigId: 'p' }, { taskId: 't', id: 'p' }],
  ['push_get', { id: 't' }, { taskId: 't' }],
  ['push_delete', { id: 't', pushNotificationConfigId: 'p' }, { taskId: 't', id: 'p' }],
  ['push_list', { id: 't' }, { taskId: 't' }],
  ['list', { status: 'input-required' }, { status: 'TASK_STATE_INPUT_REQUIRED' }],
  ['extended_card', {}, {}],
]

describe('translateRequest', () => {
  it.each(PAIRS)('writes the params of %s as 1.0 does: %j', (operation, legacy, current) => {
    expect(translateRequest({ operation, params: legacy }, '0.3', '1.0')).toEqual(current)
  })

  it.each(PAIRS)('writes the params of %s as 0.3 does: %#', (operation, legacy, current) => {
    expect(translateRequest({ operation, params: current }, '1.0', '0.3')).toEqual(legacy)
  })

  it.each<readonly [Operation, JsonValue | undefined]>([
    ['extended_card', undefined],
    ['get', null],
    ['get', ['t']],
  ])('leaves params of %s that are no object: %j', (operation, params) => {
    expect(translateRequest({ operation, params }, '0.3', '1.0')).toBe(params)
  })

  it('takes 0.1 for the 0.3 that normalisation has made of it', () => {
    const params = { message: { kind: 'message', messageId: 'm', role: 'user', parts: [] } }
    expect(translateRequest({ operation: 'send', params }, '0.1', '0.3')).toBe(params)
    expect(translateRequest({ operation: 'send', params }, '0.1', '1.0')).toEqual({
      message: { messageId: 'm', role: 'ROLE_USER', parts: [] },
    })
  })

  it('leaves out what 1.0 writes empty because it is not set', () => {
    const message = { messageId: 'm', role: 'ROLE_USER', parts: [], contextId: '', taskId: '' }
    expect(translateRequest({ operation: 'send', params: { message } }, '1.0', '0.3')).toEqual({
      message: { kind: 'message', messageId: 'm', role: 'user', parts: [] },
    })
  })
})
