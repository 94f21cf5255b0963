import { describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../lossless-json.ts'
import type { Operation } from '../method.ts'
import { restRequest, restResult } from './rest.ts'

const HOOK = { url: 'https://h.example/' }
const LEGACY_HOOK = { taskId: 't', pushNotificationConfig: { ...HOOK, id: 'p' } }
const NAME = 'tasks/t/pushNotificationConfigs/p'

const PARTS = [
  { kind: 'text', text: 'hi' },
  { kind: 'file', file: { uri: 'https://f.example/', mimeType: 'a/b' } },
  { kind: 'file', file: { bytes: 'QQ==' } },
  { kind: 'data', data: { n: 1 } },
]
const MESSAGE = { kind: 'message', messageId: 'm', role: 'user', parts: PARTS }

describe('restRequest', () => {
  it.each<readonly [string, JsonObject]>([
    [
      'as the proto has it',
      {
        request: {
          message_id: 'm',
          role: 'ROLE_USER',
          content: [
            { text: 'hi' },
            { file: { file_with_uri: 'https://f.example/', mime_type: 'a/b' } },
            { file: { file_with_bytes: 'QQ==' } },
            { data: { data: { n: 1 } } },
          ],
        },
      },
    ],
    [
      'as its JSON has it',
      {
        message: {
          messageId: 'm',
          role: 1,
          content: [
            { text: 'hi' },
            { file: { fileWithUri: 'https://f.example/', mimeType: 'a/b' } },
            { file: { fileWithBytes: 'QQ==' } },
            { data: { data: { n: 1 } } },
          ],
        },
      },
    ],
    ['as JSON-RPC has it', { message: MESSAGE }],
  ])('reads a message %s', (_how, params) => {
    const read = restRequest({ operation: 'send', params })
    expect(read).toEqual({ message: MESSAGE })
  })

  it('reads a configuration, whose sender does not want to wait when it does not say so', () => {
    const configuration = { push_notification: HOOK, history_length: 2, acceptedOutputModes: ['a'] }
    const params = { message: MESSAGE, configuration }
    expect(restRequest({ operation: 'stream', params })).toEqual({
      message: MESSAGE,
      configuration: {
        pushNotificationConfig: HOOK,
        historyLength: 2,
        acceptedOutputModes: ['a'],
        blocking: false,
      },
    })
  })

  it('leaves a content that is no list, and a part that says nothing, to normalisation', () => {
    const message = { kind: 'message', content: 'hi', parts: [{ mimeType: 'a/b' }] }
    expect(restRequest({ operation: 'send', params: { message } })).toEqual({ message })
  })

  it.each<readonly [string, JsonObject]>([
    [
      'the request of the proto',
      { parent: 'tasks/t', configId: 'p', config: { pushNotificationConfig: HOOK } },
    ],
    ['the same in snake_case', { config_id: 'p', config: { push_notification_config: HOOK } }],
    ['the resource', { name: NAME, pushNotificationConfig: HOOK }],
    ['the configuration of JSON-RPC', { pushNotificationConfig: { ...HOOK, id: 'p' } }],
    ['the bare configuration', { ...HOOK, id: 'p' }],
  ])('reads a push configuration from %s', (_how, body) => {
    const params = { ...body, taskId: 't' }
    expect(restRequest({ operation: 'push_set', params })).toEqual(LEGACY_HOOK)
  })

  it.each<JsonValue | undefined>([undefined, null, 'hi', []])('leaves %j', (params) => {
    expect(restRequest({ operation: 'send', params })).toBe(params)
  })
})

const REST_MESSAGE = {
  messageId: 'm',
  role: 'ROLE_USER',
  content: [
    { text: 'hi' },
    { file: { fileWithUri: 'https://f.example/', mimeType: 'a/b' } },
    { file: { fileWithBytes: 'QQ==' } },
    { data: { data: { n: 1 } } },
  ],
}
const TASK = {
  kind: 'task',
  id: 't',
  contextId: 'c',
  status: { state: 'canceled', message: MESSAGE },
  artifacts: [{ artifactId: 'a', parts: [{ kind: 'data', data: { n: 1 } }] }],
}
const REST_TASK = {
  id: 't',
  contextId: 'c',
  status: { state: 'TASK_STATE_CANCELLED', message: REST_MESSAGE },
  artifacts: [{ artifactId: 'a', parts: [{ data: { data: { n: 1 } } }] }],
}

describe('restResult', () => {
  it.each<readonly [Operation, JsonValue, JsonValue]>([
    ['send', MESSAGE, { message: REST_MESSAGE }],
    ['send', TASK, { task: REST_TASK }],
    ['get', TASK, REST_TASK],
    ['cancel', TASK, REST_TASK],
    [
      'stream',
      {
        kind: 'status-update',
        taskId: 't',
        contextId: 'c',
        status: { state: 'working' },
        final: false,
      },
      {
        statusUpdate: {
          taskId: 't',
          contextId: 'c',
          status: { state: 'TASK_STATE_WORKING' },
          final: false,
        },
      },
    ],
    ['push_set', LEGACY_HOOK, { name: NAME, pushNotificationConfig: { ...HOOK, id: 'p' } }],
    [
      'push_list',
      [LEGACY_HOOK],
      { configs: [{ name: NAME, pushNotificationConfig: { ...HOOK, id: 'p' } }] },
    ],
    ['push_delete', null, {}],
    ['list', { tasks: [TASK] }, { tasks: [REST_TASK] }],
  ])('writes what %s answers', (operation, result, body) => {
    expect(restResult({ operation, result })).toEqual(body)
  })

  it('writes the security of a card as the proto has it', () => {
    const result = {
      url: 'https://a.example/',
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      security: [{ key: [] }],
      skills: [{ id: 's', security: [{ key: ['x'] }] }],
    }
    expect(restResult({ operation: 'extended_card', result })).toMatchObject({
      url: 'https://a.example/',
      securitySchemes: { key: { httpAuthSecurityScheme: { scheme: 'bearer' } } },
      security: [{ schemes: { key: { list: [] } } }],
      skills: [{ id: 's', security: [{ schemes: { key: { list: ['x'] } } }] }],
    })
  })

  it.each<readonly [Operation, JsonValue]>([
    ['send', {}],
    ['get', MESSAGE],
    ['stream', 'x'],
    ['list', []],
  ])('finds no result of %s in %j', (operation, result) => {
    expect(restResult({ operation, result })).toBeUndefined()
  })
})
