import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseLossless } from '../lossless-json.ts'
import { OPERATIONS, type Operation, type SpokenDialect } from '../method.ts'
import { V10_PARAMS } from './v10.ts'
import { validateParams } from './validate-params.ts'

/** As it would come from the wire. */
const fault = (operation: Operation, dialect: SpokenDialect, params: unknown) =>
  validateParams(operation, dialect, parseLossless(JSON.stringify(params)))

const LEGACY = { kind: 'message', messageId: 'm', role: 'user' }
const CURRENT = { messageId: 'm', role: 'ROLE_USER' }
const legacy = (part: unknown) => ({ message: { ...LEGACY, parts: [part] } })
const current = (part: unknown) => ({ message: { ...CURRENT, parts: [part] } })
const text = { kind: 'text', text: 'hi' }

describe('validateParams', () => {
  describe('takes in 0.3', () => {
    it.each<[Operation, unknown]>([
      ['send', legacy(text)],
      ['send', legacy({ kind: 'text', text: '' })],
      ['send', legacy({ kind: 'data', data: {}, metadata: { a: 1 } })],
      ['send', legacy({ kind: 'file', file: { uri: 'https://example.com/a' } })],
      ['send', legacy({ kind: 'file', file: { bytes: 'QQ==', uri: null, name: null } })],
      ['stream', { ...legacy(text), vendor: [1], configuration: null, metadata: null }],
      [
        'send',
        {
          ...legacy(text),
          configuration: {
            acceptedOutputModes: ['text/plain'],
            historyLength: 0,
            blocking: false,
            vendor: true,
            pushNotificationConfig: {
              url: 'https://example.com',
              authentication: { schemes: ['Bearer'], credentials: 'x' },
            },
          },
        },
      ],
      ['get', { id: 't', historyLength: 3, vendor: 1 }],
      ['list', { anything: 1 }],
      ['cancel', { id: 't', metadata: {} }],
      ['subscribe', { id: 't' }],
      ['push_set', { taskId: 't', pushNotificationConfig: { url: 'https://example.com' } }],
      ['push_get', { id: 't' }],
      ['push_list', { id: 't' }],
      ['push_delete', { id: 't', pushNotificationConfigId: 'c' }],
      ['extended_card', {}],
    ])('%s %j', (operation, params) => {
      expect(fault(operation, '0.3', params)).toBeUndefined()
    })
  })

  describe('takes in 1.0', () => {
    it.each<[Operation, unknown]>([
      ['send', current({ text: 'hi', mediaType: 'text/plain', vendor: 1 })],
      ['send', current({ raw: 'QQ==', filename: 'a', mediaType: 'image/png' })],
      ['send', current({ url: 'https://example.com/a' })],
      ['send', current({ data: null })],
      ['send', current({ data: [1, 2] })],
      ['stream', { ...current({ text: '' }), tenant: 't', metadata: {} }],
      [
        'send',
        {
          ...current({ text: 'hi' }),
          configuration: {
            returnImmediately: true,
            taskPushNotificationConfig: {
              url: 'https://example.com',
              authentication: { scheme: 'Bearer', credentials: 'x' },
            },
          },
        },
      ],
      ['get', { id: 't' }],
      ['list', {}],
      [
        'list',
        {
          contextId: 'c',
          status: 'TASK_STATE_WORKING',
          pageSize: 100,
          pageToken: '',
          historyLength: 0,
          statusTimestampAfter: '2026-03-12T00:00:00.123Z',
          includeArtifacts: true,
        },
      ],
      ['cancel', { id: 't' }],
      ['subscribe', { id: 't' }],
      ['push_set', { taskId: 't', url: 'https://example.com', tenant: '' }],
      ['push_get', { taskId: 't', id: 'c' }],
      ['push_list', { taskId: 't', pageSize: 1 }],
      ['push_delete', { taskId: 't', id: 'c' }],
      ['extended_card', {}],
    ])('%s %j', (operation, params) => {
      expect(fault(operation, '1.0', params)).toBeUndefined()
    })
  })

  describe('names what is wrong in 0.3', () => {
    it.each<[Operation, unknown, string]>([
      ['send', {}, 'params.message'],
      ['send', { message: 'hi' }, 'params.message'],
      ['send', { message: { ...LEGACY, parts: [] } }, 'params.message.parts'],
      ['send', { message: { ...LEGACY, parts: {} } }, 'params.message.parts'],
      ['send', { message: { parts: [text] } }, 'params.message.kind'],
      ['send', { message: { ...LEGACY, role: 'robot', parts: [text] } }, 'params.message.role'],
      [
        'send',
        { message: { ...LEGACY, messageId: '', parts: [text] } },
        'params.message.messageId',
      ],
      ['send', { message: { ...LEGACY, taskId: 5, parts: [text] } }, 'params.message.taskId'],
      [
        'send',
        { message: { ...LEGACY, extensions: 'uri', parts: [text] } },
        'params.message.extensions',
      ],
      ['send', { message: { ...LEGACY, metadata: [], parts: [text] } }, 'params.message.metadata'],
      ['send', { message: { ...LEGACY, parts: [text, 5] } }, 'params.message.parts[1]'],
      ['send', legacy({ text: 'hi' }), 'params.message.parts[0].kind'],
      ['send', legacy({ kind: 'text', text: 5 }), 'params.message.parts[0].text'],
      ['send', legacy({ kind: 'data', data: [1] }), 'params.message.parts[0].data'],
      ['send', legacy({ kind: 'file', file: 'a' }), 'params.message.parts[0].file'],
      ['send', legacy({ kind: 'file', file: {} }), 'params.message.parts[0].file'],
      [
        'send',
        legacy({ kind: 'file', file: { uri: 'a', bytes: 'QQ==' } }),
        'params.message.parts[0].file',
      ],
      [
        'send',
        legacy({ kind: 'file', file: { bytes: '!' } }),
        'params.message.parts[0].file.bytes',
      ],
      ['send', legacy({ kind: 'file', file: { uri: '' } }), 'params.message.parts[0].file.uri'],
      ['send', { ...legacy(text), configuration: 5 }, 'params.configuration'],
      [
        'send',
        { ...legacy(text), configuration: { blocking: 1 } },
        'params.configuration.blocking',
      ],
      [
        'send',
        { ...legacy(text), configuration: { historyLength: -1 } },
        'params.configuration.historyLength',
      ],
      [
        'send',
        { ...legacy(text), configuration: { pushNotificationConfig: {} } },
        'params.configuration.pushNotificationConfig.url',
      ],
      ['get', {}, 'params.id'],
      ['get', { id: 5 }, 'params.id'],
      ['get', { id: 't', historyLength: 'all' }, 'params.historyLength'],
      ['cancel', { id: '' }, 'params.id'],
      ['subscribe', { id: null }, 'params.id'],
      ['push_set', { taskId: 't' }, 'params.pushNotificationConfig'],
      ['push_delete', { id: 't' }, 'params.pushNotificationConfigId'],
    ])('%s %j', (operation, params, field) => {
      expect(fault(operation, '0.3', params)).toMatchObject({ field })
    })
  })

  describe('names what is wrong in 1.0', () => {
    it.each<[Operation, unknown, string]>([
      ['send', { message: { ...CURRENT, role: 'user', parts: [text] } }, 'params.message.role'],
      ['send', current({}), 'params.message.parts[0]'],
      ['send', current({ mediaType: 'text/plain' }), 'params.message.parts[0]'],
      ['send', current({ text: 'a', url: 'b' }), 'params.message.parts[0]'],
      ['send', current({ text: 5 }), 'params.message.parts[0].text'],
      ['send', current({ text: null }), 'params.message.parts[0].text'],
      ['send', current({ url: '' }), 'params.message.parts[0].url'],
      ['send', current({ raw: 'a b' }), 'params.message.parts[0].raw'],
      ['send', current({ text: 'a', mediaType: 5 }), 'params.message.parts[0].mediaType'],
      ['send', current({ text: 'a', metadata: 'm' }), 'params.message.parts[0].metadata'],
      [
        'send',
        { ...current({ text: 'a' }), configuration: { returnImmediately: 'no' } },
        'params.configuration.returnImmediately',
      ],
      ['list', { pageSize: 0 }, 'params.pageSize'],
      ['list', { pageSize: 101 }, 'params.pageSize'],
      ['list', { pageSize: 1.5 }, 'params.pageSize'],
      ['list', { status: 'resting' }, 'params.status'],
      ['list', { statusTimestampAfter: 'yesterday' }, 'params.statusTimestampAfter'],
      ['list', { statusTimestampAfter: '2026-13-40T99:00:00Z' }, 'params.statusTimestampAfter'],
      ['get', { id: 't', historyLength: -1 }, 'params.historyLength'],
      ['push_set', { taskId: 't' }, 'params.url'],
      ['push_get', { taskId: 't' }, 'params.id'],
      ['push_delete', { id: 'c' }, 'params.taskId'],
    ])('%s %j', (operation, params, field) => {
      expect(fault(operation, '1.0', params)).toMatchObject({ field })
    })
  })

  it.each([null, [], 'x', 5, undefined])('wants an object, not %j', (params) => {
    for (const operation of OPERATIONS) {
      if (operation === 'extended_card' && params === undefined) continue
      const given = params === undefined ? undefined : parseLossless(JSON.stringify(params))
      expect(validateParams(operation, '1.0', given)).toMatchObject({ field: 'params' })
    }
  })

  it('gives the extended card to who sends no parameters', () => {
    expect(validateParams('extended_card', '0.3', undefined)).toBeUndefined()
  })

  it('refuses a member without a name', () => {
    for (const operation of OPERATIONS) {
      expect(fault(operation, '1.0', { id: 't', '': 1 })).toMatchObject({ field: 'params' })
    }
  })

  it.each(['1.0', '9007199254740993', '1e400'])(
    'does not take the number %s for an object',
    (n) => {
      const params = parseLossless(`{"message":${n}}`)
      expect(validateParams('send', '0.3', params)).toMatchObject({ field: 'params.message' })
      const configured = parseLossless(
        `{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"a"}]},"configuration":${n}}`,
      )
      expect(validateParams('send', '1.0', configured)).toMatchObject({
        field: 'params.configuration',
      })
    },
  )

  it('counts ten in every way to write it', () => {
    for (const ten of ['10', '10.0', '1e1']) {
      expect(validateParams('list', '1.0', parseLossless(`{"pageSize":${ten}}`))).toBeUndefined()
    }
  })

  it('makes one finding of a list of a million faults', () => {
    const wrong = Array.from({ length: 100_000 }, () => 5)
    const message = { ...CURRENT, parts: wrong, extensions: wrong, referenceTaskIds: wrong }
    const { error } = V10_PARAMS.send.safeParse({ message })
    expect(error?.issues.length).toBe(3)
  })

  it('says nothing that the sender said', () => {
    const property = fc.property(
      fc.constantFrom(...OPERATIONS),
      fc.jsonValue(),
      (operation, value) => {
        for (const dialect of ['0.3', '1.0'] as const) {
          const found = fault(operation, dialect, {
            'a-secret': value,
            message: { 'a-secret': value },
          })
          expect(JSON.stringify(found ?? {})).not.toContain('a-secret')
        }
      },
    )
    fc.assert(property)
  })

  it('never throws', () => {
    const params = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          message: fc.jsonValue(),
          configuration: fc.jsonValue(),
          id: fc.jsonValue(),
          status: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
    )
    const property = fc.property(params, fc.constantFrom(...OPERATIONS), (value, operation) => {
      for (const dialect of ['0.1', '0.3', '1.0'] as const) fault(operation, dialect, value)
    })
    fc.assert(property, { numRuns: 500 })
  })
})
