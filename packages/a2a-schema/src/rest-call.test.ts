import { describe, expect, it } from 'vitest'
import type { JsonValue } from './lossless-json.ts'
import { type RestReading, readRestCall } from './rest-call.ts'

function read(line: string, body?: JsonValue): RestReading {
  const [verb = '', target = ''] = line.split(' ')
  const [path = '', query = ''] = target.split('?')
  return readRestCall({ verb, path, query: new URLSearchParams(query), body })
}

const MESSAGE = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'hi' }] }
const HOOK = { url: 'https://h.example/' }

describe('readRestCall', () => {
  it.each<readonly [string, JsonValue | undefined, string, JsonValue]>([
    ['POST message:send', { message: MESSAGE }, 'SendMessage', { message: MESSAGE }],
    ['POST message:stream', { message: MESSAGE }, 'SendStreamingMessage', { message: MESSAGE }],
    ['GET tasks/t?historyLength=0', undefined, 'GetTask', { id: 't', historyLength: 0 }],
    ['GET tasks/t?history_length=2', undefined, 'GetTask', { id: 't', historyLength: 2 }],
    ['GET tasks/t%2F1', undefined, 'GetTask', { id: 't/1' }],
    [
      'GET tasks?page_size=5&pageToken=x&includeArtifacts=true&context_id=c&other=1',
      undefined,
      'ListTasks',
      { pageSize: 5, pageToken: 'x', includeArtifacts: true, contextId: 'c' },
    ],
    ['POST tasks/t:cancel', undefined, 'CancelTask', { id: 't' }],
    ['POST tasks/t:cancel', { metadata: { a: 1 } }, 'CancelTask', { id: 't', metadata: { a: 1 } }],
    ['POST tasks/a:b:cancel', {}, 'CancelTask', { id: 'a:b' }],
    ['GET tasks/t:subscribe', undefined, 'SubscribeToTask', { id: 't' }],
    ['POST tasks/t:subscribe', undefined, 'SubscribeToTask', { id: 't' }],
    [
      'POST tasks/t/pushNotificationConfigs',
      HOOK,
      'CreateTaskPushNotificationConfig',
      { ...HOOK, taskId: 't' },
    ],
    [
      'GET tasks/t/pushNotificationConfigs?pageSize=2',
      undefined,
      'ListTaskPushNotificationConfigs',
      { taskId: 't', pageSize: 2 },
    ],
    [
      'GET tasks/t/pushNotificationConfigs/p',
      undefined,
      'GetTaskPushNotificationConfig',
      { taskId: 't', id: 'p' },
    ],
    [
      'DELETE tasks/t/pushNotificationConfigs/p',
      undefined,
      'DeleteTaskPushNotificationConfig',
      { taskId: 't', id: 'p' },
    ],
    ['GET extendedAgentCard', undefined, 'GetExtendedAgentCard', {}],
    ['GET acme%20inc/tasks/t', undefined, 'GetTask', { tenant: 'acme inc', id: 't' }],
    [
      'POST acme/message:send',
      { message: MESSAGE },
      'SendMessage',
      { message: MESSAGE, tenant: 'acme' },
    ],
    [
      'POST v1/message:send',
      { request: { messageId: 'm', role: 'ROLE_USER', content: [{ text: 'hi' }] } },
      'message/send',
      {
        message: {
          kind: 'message',
          messageId: 'm',
          role: 'user',
          parts: [{ kind: 'text', text: 'hi' }],
        },
      },
    ],
    ['GET v1/tasks/t', undefined, 'tasks/get', { id: 't' }],
    ['GET v1/tasks', undefined, 'tasks/list', {}],
    ['POST v1/tasks/t:cancel', undefined, 'tasks/cancel', { id: 't' }],
    ['GET v1/tasks/t:subscribe', undefined, 'tasks/resubscribe', { id: 't' }],
    [
      'POST v1/tasks/t/pushNotificationConfigs',
      { parent: 'tasks/t', configId: 'p', config: { pushNotificationConfig: HOOK } },
      'tasks/pushNotificationConfig/set',
      { taskId: 't', pushNotificationConfig: { ...HOOK, id: 'p' } },
    ],
    [
      'GET v1/tasks/t/pushNotificationConfigs',
      undefined,
      'tasks/pushNotificationConfig/list',
      { id: 't' },
    ],
    [
      'DELETE v1/tasks/t/pushNotificationConfigs/p',
      undefined,
      'tasks/pushNotificationConfig/delete',
      { id: 't', pushNotificationConfigId: 'p' },
    ],
    ['GET v1/card', undefined, 'agent/getAuthenticatedExtendedCard', {}],
  ])('reads %s', (line, body, method, params) => {
    expect(read(line, body)).toMatchObject({ kind: 'call', call: { method } })
    const reading = read(line, body)
    expect(reading.kind === 'call' ? reading.call.params : undefined).toEqual(params)
  })

  it.each([
    'GET ',
    'GET x',
    'POST v1',
    'GET v1/extendedAgentCard',
    'GET card',
    'GET a/b/tasks/t',
    'GET tasks/%zz',
    'GET tasks/t/artifacts',
    'POST v2/message:send/x',
  ])('finds nothing at %s', (line) => {
    expect(read(line)).toEqual({ kind: 'nothing_there' })
  })

  it.each<readonly [string, readonly string[]]>([
    ['GET message:send', ['POST']],
    ['DELETE tasks/t', ['GET']],
    ['GET tasks/t:cancel', ['POST']],
    ['PUT tasks/t/pushNotificationConfigs', ['POST', 'GET']],
    ['constructor tasks/t', ['GET']],
  ])('says what else can be done there instead of %s', (line, verbs) => {
    expect(read(line)).toEqual({ kind: 'other_verbs', verbs })
  })

  it('lets nobody name another task in the body than in the path', () => {
    expect(read('POST tasks/t:cancel', { id: 'other' })).toMatchObject({
      call: { params: { id: 't' } },
    })
    expect(
      read('POST tasks/t/pushNotificationConfigs', { ...HOOK, taskId: 'other' }),
    ).toMatchObject({
      call: { params: { taskId: 't' } },
    })
  })

  it.each<JsonValue>([null, 'hi', [], 7])(
    'hands on a body that is no object, for all to refuse: %j',
    (body) => {
      expect(read('POST message:send', body)).toMatchObject({ call: { params: body } })
      expect(read('POST v1/message:send', body)).toMatchObject({ call: { params: body } })
    },
  )

  it('keeps a number that is none, so that it is refused by its name', () => {
    expect(read('GET tasks?pageSize=many')).toMatchObject({
      call: { params: { pageSize: 'many' } },
    })
  })
})
