import { describe, expect, it } from 'vitest'
import { parseRpcRequest, type RpcRequest, rpcRequestText } from './json-rpc.ts'
import { type Normalised, type NormaliseResult, normaliseRequest } from './normalise.ts'

const FRESH = '00000000-0000-4000-8000-000000000001'
const ids = { uuid: () => FRESH }

function parsed(text: string): RpcRequest {
  const result = parseRpcRequest(new TextEncoder().encode(text), ids)
  if (!result.ok) throw new Error(result.error.message)
  return result.request
}

function call(method: string, params: unknown): RpcRequest {
  return parsed(JSON.stringify({ jsonrpc: '2.0', id: 7, method, params }))
}

function accepted(result: NormaliseResult): Normalised {
  if (!result.ok) throw new Error(result.error.message)
  return result
}

const normalised = (request: RpcRequest): Normalised => accepted(normaliseRequest(request, ids))

/** What would be forwarded. */
const forwarded = (method: string, params: unknown) =>
  JSON.parse(rpcRequestText(normalised(call(method, params)).request))

const TEXT_PART = { kind: 'text', text: 'hi' }
const MESSAGE = { kind: 'message', messageId: 'm', role: 'user', parts: [TEXT_PART] }
const CURRENT = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'hi' }] }

describe('normaliseRequest', () => {
  describe('leaves alone', () => {
    it.each([
      ['message/send', { message: MESSAGE }],
      ['message/stream', { message: { ...MESSAGE, vendor: 1 }, configuration: { blocking: true } }],
      ['SendMessage', { message: CURRENT, tenant: 't', configuration: null }],
      ['SendStreamingMessage', { message: CURRENT, vendor: [] }],
      ['tasks/get', { id: 't', message: { content: 5 } }],
      ['tasks/list', { message: { content: 5 } }],
      ['GetTask', { id: 't' }],
      ['GetTask', [1]],
      ['agent/getAuthenticatedExtendedCard', undefined],
      ['vendor.x/y', { message: { content: 5 }, task_id: 't' }],
      ['constructor', { message: {} }],
    ])('%s %j', (method, params) => {
      const request = call(method, params)
      const result = normalised(request)
      expect(result).toMatchObject({ changed: false, notes: [] })
      expect(result.request).toBe(request)
      expect(result.mintedMessageId).toBeUndefined()
    })
  })

  it('changes nothing but what it says: id, key order, other members and large numbers stay', () => {
    const request = parsed(
      '{"jsonrpc":"2.0","id":9007199254740993,"method":"message/send","params":{"n":1.0,"message":{"z":1e400,"content":"hi","a":[12345678901234567890]}},"x":1}',
    )
    const result = normalised(request)
    expect(rpcRequestText(result.request)).toBe(
      `{"jsonrpc":"2.0","id":9007199254740993,"method":"message/send","params":{"n":1.0,"message":{"kind":"message","z":1e400,"parts":[{"kind":"text","text":"hi"}],"a":[12345678901234567890],"role":"user","messageId":"${FRESH}"}},"x":1}`,
    )
    expect(result.changed).toBe(true)
  })

  it('says that the bytes of a bare sender must not be forwarded', () => {
    const request = parsed(JSON.stringify({ method: 'message/send', params: { message: MESSAGE } }))
    expect(normalised(request)).toMatchObject({ changed: true, notes: ['envelope'] })
  })

  it('tells the id that it made', () => {
    const result = normalised(call('SendMessage', { message: { parts: [{ text: 'hi' }] } }))
    expect(result).toMatchObject({ mintedMessageId: FRESH, notes: ['role', 'message-id'] })
  })

  it('makes no id for a message that it refuses', () => {
    const uuid = () => {
      throw new Error('asked for an id')
    }
    const result = normaliseRequest(call('message/send', { message: { parts: [] } }), { uuid })
    expect(result.ok).toBe(false)
  })

  it('keeps the members of a part and of its file that nobody specified', () => {
    const part = { kind: 'file', file: { bytes: 'QQ==', size: 1 }, vendor: { a: [1] } }
    const message = { ...CURRENT, parts: [part] }
    expect(forwarded('SendMessage', { message }).params.message.parts).toEqual([
      { raw: 'QQ==', size: 1, vendor: { a: [1] } },
    ])
    const flat = { ...MESSAGE, parts: [{ raw: 'QQ==', vendor: 1 }] }
    expect(forwarded('message/send', { message: flat }).params.message.parts).toEqual([
      { kind: 'file', vendor: 1, file: { bytes: 'QQ==' } },
    ])
  })

  it('refuses a file that says one thing inside and another outside', () => {
    const part = { file: { bytes: 'QQ==', name: 'a' }, filename: 'b' }
    const result = normaliseRequest(
      call('SendMessage', { message: { ...CURRENT, parts: [part] } }),
      ids,
    )
    expect(result).toMatchObject({
      error: { data: { field: 'params.message.parts[0].filename' } },
    })
  })

  it('drops a content whose text is spread over the parts, and refuses one that has more', () => {
    const parts = [TEXT_PART, { kind: 'file', file: { uri: 'https://example.com/a' } }, TEXT_PART]
    for (const content of ['hihi', 'hi\nhi', ['hi', 'hi'], parts]) {
      const request = call('message/send', { message: { ...MESSAGE, parts, content } })
      expect(normalised(request).notes).toContain('content-dropped')
    }
    for (const content of ['hi', 'hihi!', [{ file: { uri: 'https://example.com/b' } }], 5]) {
      const request = call('message/send', { message: { ...MESSAGE, parts, content } })
      expect(normaliseRequest(request, ids)).toMatchObject({
        error: { data: { field: 'params.message.parts' } },
      })
    }
  })

  describe('refuses, naming the field', () => {
    it.each([
      ['message/send', undefined, 'params'],
      ['message/send', null, 'params'],
      ['SendMessage', [1], 'params'],
      ['SendMessage', 'x', 'params'],
      ['message/send', {}, 'params.message'],
      ['message/send', { message: null }, 'params.message'],
      ['message/send', { message: [TEXT_PART] }, 'params.message'],
      ['message/send', { message: { ...MESSAGE, kind: 'task' } }, 'params.message.kind'],
      ['message/send', { message: { ...MESSAGE, parts: [5] } }, 'params.message.parts[0]'],
      ['message/send', { message: { content: [5] } }, 'params.message.content[0]'],
      ['message/send', { message: { ...MESSAGE, taskId: 5 } }, 'params.message.taskId'],
      ['message/send', { message: MESSAGE, metadata: [] }, 'params.metadata'],
      ['message/send', { message: MESSAGE, configuration: 5 }, 'params.configuration'],
      ['SendMessage', { message: CURRENT, '': 1 }, 'params'],
    ])('%s %j', (method, params, field) => {
      expect(normaliseRequest(call(method, params), ids)).toMatchObject({
        ok: false,
        error: { code: -32602, id: 7, data: { field } },
      })
    })

    it('and does not take a number that it keeps as text for a message', () => {
      const request = parsed(
        '{"jsonrpc":"2.0","id":1,"method":"message/send","params":{"message":1e400}}',
      )
      expect(normaliseRequest(request, ids)).toMatchObject({
        error: { data: { field: 'params.message' } },
      })
    })
  })

  describe('puts the configuration into the words of the dialect', () => {
    const url = 'https://example.com'
    it.each([
      [{ blocking: true }, { blocking: true }, { returnImmediately: false }],
      [{ returnImmediately: true }, { blocking: false }, { returnImmediately: true }],
      [{ return_immediately: false }, { blocking: true }, { returnImmediately: false }],
      [{ blocking: null }, { blocking: null }, {}],
      [
        { returnImmediately: true, blocking: false },
        { blocking: false },
        { returnImmediately: true },
      ],
      [
        { history_length: 2, accepted_output_modes: ['text/plain'] },
        { historyLength: 2, acceptedOutputModes: ['text/plain'] },
        { historyLength: 2, acceptedOutputModes: ['text/plain'] },
      ],
      [
        { pushNotification: { url } },
        { pushNotificationConfig: { url } },
        { taskPushNotificationConfig: { url } },
      ],
      [
        {
          pushNotificationConfig: {
            url,
            authentication: { schemes: ['Bearer'], credentials: 'c' },
          },
        },
        {
          pushNotificationConfig: {
            url,
            authentication: { schemes: ['Bearer'], credentials: 'c' },
          },
        },
        {
          taskPushNotificationConfig: {
            url,
            authentication: { scheme: 'Bearer', credentials: 'c' },
          },
        },
      ],
      [
        { taskPushNotificationConfig: { url, authentication: { scheme: 'Bearer' } } },
        { pushNotificationConfig: { url, authentication: { schemes: ['Bearer'] } } },
        { taskPushNotificationConfig: { url, authentication: { scheme: 'Bearer' } } },
      ],
      [{ vendor: 1 }, { vendor: 1 }, { vendor: 1 }],
    ])('%j', (configuration, legacy, current) => {
      const old = forwarded('message/send', { message: MESSAGE, configuration })
      expect(old.params.configuration).toEqual(legacy)
      const young = forwarded('SendMessage', { message: CURRENT, configuration })
      expect(young.params.configuration).toEqual(current)
    })

    it.each([
      [{ blocking: true, returnImmediately: true }, 'params.configuration.blocking'],
      [{ returnImmediately: 'no' }, 'params.configuration.returnImmediately'],
    ])('and refuses %j', (configuration, field) => {
      const request = call('message/send', { message: MESSAGE, configuration })
      expect(normaliseRequest(request, ids)).toMatchObject({ error: { data: { field } } })
    })
  })

  describe('reads snake_case in other calls', () => {
    it.each([
      ['GetTask', { id: 't', history_length: 2 }, { id: 't', historyLength: 2 }],
      ['ListTasks', { page_size: 2, context_id: 'c' }, { pageSize: 2, contextId: 'c' }],
      ['DeleteTaskPushNotificationConfig', { task_id: 't', id: 'c' }, { taskId: 't', id: 'c' }],
    ])('%s %j', (method, params, expected) => {
      expect(forwarded(method, params).params).toEqual(expected)
    })
  })

  describe('makes of a call of 0.1 one of 0.3 (M19)', () => {
    const message = { role: 'user', parts: [{ type: 'text', text: 'hi' }] }

    it('with the session as context, and the client’s id of the task beside it', () => {
      const request = call('tasks/send', {
        id: 'task-1',
        sessionId: 'session-1',
        message,
        acceptedOutputModes: ['text/plain'],
        historyLength: 2,
        pushNotification: { url: 'https://example.com' },
        metadata: { skill: 'x' },
        vendor: 1,
      })
      const result = normalised(request)
      expect(JSON.parse(rpcRequestText(result.request))).toEqual({
        jsonrpc: '2.0',
        id: 7,
        method: 'message/send',
        params: {
          message: {
            kind: 'message',
            role: 'user',
            parts: [TEXT_PART],
            contextId: 'session-1',
            messageId: FRESH,
          },
          configuration: {
            acceptedOutputModes: ['text/plain'],
            historyLength: 2,
            pushNotificationConfig: { url: 'https://example.com' },
          },
          metadata: { skill: 'x' },
          vendor: 1,
        },
      })
      expect(result).toMatchObject({
        taskAlias: 'task-1',
        mintedMessageId: FRESH,
        notes: ['v0.1', 'part-type', 'message-id'],
        request: { method: 'message/send' },
      })
    })

    it.each([
      ['tasks/sendSubscribe', { id: 't', message }, 'message/stream'],
      ['tasks/send', { id: 't', role: 'user', content: 'hi' }, 'message/send'],
    ])('%s %j', (method, params, expected) => {
      const result = normalised(call(method, params))
      expect(result).toMatchObject({ taskAlias: 't', request: { method: expected } })
      expect(forwarded(method, params).params).toEqual({
        message: { kind: 'message', role: 'user', parts: [TEXT_PART], messageId: FRESH },
      })
    })

    it('and the calls about webhooks', () => {
      const config = { url: 'https://example.com' }
      expect(
        forwarded('tasks/pushNotification/set', { id: 't', pushNotificationConfig: config }),
      ).toMatchObject({
        method: 'tasks/pushNotificationConfig/set',
        params: { taskId: 't', pushNotificationConfig: config },
      })
      expect(forwarded('tasks/pushNotification/get', { id: 't' })).toMatchObject({
        method: 'tasks/pushNotificationConfig/get',
        params: { id: 't' },
      })
    })

    it.each([
      [{ id: 5, message }, 'params.id'],
      [{ id: 't', sessionId: 5, message }, 'params.sessionId'],
      [
        { id: 't', sessionId: 's', message: { ...message, contextId: 'c' } },
        'params.message.contextId',
      ],
      [{ id: 't' }, 'params.message'],
      [{ id: 't', message: { role: 'user', parts: [] } }, 'params.message.parts'],
    ])('but refuses %j', (params, field) => {
      expect(normaliseRequest(call('tasks/send', params), ids)).toMatchObject({
        error: { code: -32602, data: { field } },
      })
    })
  })
})
