import { describe, expect, it } from 'vitest'
import { activityRow, messageOf } from './inbound-message.ts'

const OWN = '3f2a0000-0000-4000-8000-000000000001'
const row = (fields: object = {}) =>
  activityRow.parse({
    id: '3f2a0000-0000-4000-8000-000000000002',
    activity_type: 'a2a_receive',
    source_id: null,
    method: 'message/send',
    created_at: '2026-01-01T00:00:00Z',
    request_body: {
      params: {
        message: {
          messageId: 'm',
          parts: [
            { kind: 'text', text: 'a' },
            { kind: 'data', data: { n: 1 } },
            { text: 'b' },
            { kind: 'file', file: { uri: 'workspace:/workspace/x', name: 'x' } },
            7,
          ],
        },
      },
    },
    ...fields,
  })

describe('messageOf', () => {
  it('reads text, data and files of either dialect', () => {
    expect(messageOf(row(), OWN)).toMatchObject({
      messageId: 'm',
      sourceId: undefined,
      text: 'a\n{"n":1}\nb',
      files: [{ name: 'x', uri: 'workspace:/workspace/x', bytes: undefined }],
    })
  })

  it.each([
    ['a notification', { method: 'notify', request_body: undefined }],
    ['what was pushed and answered already', { response_body: { result: {} } }],
    ['a report of its own', { source_id: OWN }],
    ['another kind of row', { activity_type: 'agent_log' }],
    ['a method without a message', { method: 'tasks/get' }],
    ['a method that nobody knows', { method: null }],
    ['a request without a message', { request_body: { params: {} } }],
  ])('leaves %s alone', (_, fields) => {
    expect(messageOf(row(fields), OWN)).toBeUndefined()
  })
})
