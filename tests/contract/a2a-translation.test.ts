import { parseRpcRequest } from '@atrium/a2a-schema/json-rpc'
import { type JsonObject, type JsonValue, parseLossless } from '@atrium/a2a-schema/lossless-json'
import { methodName, type Operation, type SpokenDialect } from '@atrium/a2a-schema/method'
import { normaliseRequest } from '@atrium/a2a-schema/normalise'
import { translateError } from '@atrium/a2a-schema/translate/error'
import { translateRequest } from '@atrium/a2a-schema/translate/request'
import { translateResult } from '@atrium/a2a-schema/translate/result'
import { validateParams } from '@atrium/a2a-schema/validate-params'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  answerV03,
  answerV10,
  errorV03,
  errorV10,
  eventV03,
  eventV10,
  json,
  sendV03,
  sendV10,
  taskPushV03,
  taskPushV10,
  taskV03,
  taskV10,
} from '../support/a2a-arbitraries.ts'

const RUNS = { numRuns: 80 }

type Other = Exclude<SpokenDialect, '0.1'>

const other = (dialect: Other): Other => (dialect === '1.0' ? '0.3' : '1.0')

function request(operation: Operation, params: JsonValue, from: Other): JsonValue | undefined {
  return translateRequest({ operation, params }, from, other(from))
}

function result(operation: Operation, value: JsonValue, from: Other): JsonValue | undefined {
  return translateResult({ operation, result: value }, from, other(from))
}

const REQUESTS: readonly (readonly [Other, Operation, fc.Arbitrary<JsonObject>])[] = [
  ['0.3', 'send', sendV03],
  ['1.0', 'send', sendV10],
  ['0.3', 'push_set', taskPushV03],
  ['1.0', 'push_set', taskPushV10],
  ['0.3', 'push_delete', fc.record({ id: fc.uuid(), pushNotificationConfigId: fc.uuid() })],
  ['1.0', 'push_get', fc.record({ taskId: fc.uuid(), id: fc.uuid() })],
  ['1.0', 'push_list', fc.record({ taskId: fc.uuid(), pageSize: fc.nat() })],
  [
    '1.0',
    'list',
    fc.record({ status: fc.constant('TASK_STATE_CANCELED'), pageToken: fc.string() }),
  ],
  ['0.3', 'get', fc.record({ id: fc.uuid(), historyLength: fc.nat() })],
]

const RESULTS: readonly (readonly [Other, Operation, fc.Arbitrary<JsonValue>])[] = [
  ['0.3', 'send', answerV03],
  ['1.0', 'send', answerV10],
  ['0.3', 'get', taskV03],
  ['1.0', 'cancel', taskV10],
  ['0.3', 'stream', eventV03],
  ['1.0', 'subscribe', eventV10],
  ['0.3', 'push_get', taskPushV03],
  ['1.0', 'push_set', taskPushV10],
  ['0.3', 'push_list', fc.array(taskPushV03)],
  [
    '1.0',
    'push_list',
    fc.record({ configs: fc.array(taskPushV10), nextPageToken: fc.constant('') }),
  ],
  ['1.0', 'list', fc.record({ tasks: fc.array(taskV10, { maxLength: 2 }), totalSize: fc.nat() })],
]

describe('translating there and back', () => {
  it.each(REQUESTS)('gives the same %s request: %s', (from, operation, params) => {
    fc.assert(
      fc.property(params, (given) => {
        const there = request(operation, given, from)
        expect(request(operation, there ?? null, other(from))).toEqual(given)
      }),
      RUNS,
    )
  })

  it.each(RESULTS)('gives the same %s result: %s', (from, operation, value) => {
    fc.assert(
      fc.property(value, (given) => {
        const there = result(operation, given, from)
        expect(result(operation, there ?? null, other(from))).toEqual(given)
      }),
      RUNS,
    )
  })

  it.each([
    ['0.3', errorV03],
    ['1.0', errorV10],
  ] as const)('gives the same %s error', (from, error) => {
    fc.assert(
      fc.property(error, (given) => {
        const there = translateError(given, from, other(from))
        expect(translateError(there, other(from), from)).toEqual(given)
      }),
      RUNS,
    )
  })
})

describe('a translated request', () => {
  it.each(REQUESTS)(
    'is one that nobody would refuse or change: from %s, %s',
    (from, operation, params) => {
      const to = other(from)
      const method = methodName(operation, to) ?? 'tasks/list'
      fc.assert(
        fc.property(params, (given) => {
          const there = request(operation, given, from)
          expect(validateParams(operation, to, there)).toBeUndefined()
          const bytes = Buffer.from(
            JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: there }),
          )
          const parsed = parseRpcRequest(bytes, ids)
          const normalised = parsed.ok ? normaliseRequest(parsed.request, ids) : parsed
          expect(normalised).toMatchObject({ ok: true, changed: false, notes: [] })
        }),
        RUNS,
      )
    },
  )
})

const ids = { uuid: () => 'minted' }

describe('data that 0.3 cannot hold', () => {
  it.each<JsonObject>([
    { data: null },
    { data: [1, null], mediaType: 'application/json' },
    { data: 'text', metadata: { own: 1 } },
    { data: { value: 1 }, metadata: { data_part_compat: true } },
    { data: [], metadata: { data_part_compat: 'mine' } },
  ])('comes back as it was: %j', (part) => {
    const message = { messageId: 'm', role: 'ROLE_USER', parts: [part] }
    const there = request('send', { message }, '1.0')
    expect(there).toMatchObject({
      message: { parts: [{ kind: 'data', data: { value: part['data'] } }] },
    })
    expect(request('send', there ?? null, '0.3')).toEqual({ message })
  })
})

function readable(text: string): JsonValue | undefined {
  try {
    return parseLossless(text)
  } catch {
    return undefined
  }
}

describe('translating garbage', () => {
  const operations: readonly Operation[] = [
    'send',
    'stream',
    'get',
    'list',
    'push_set',
    'push_list',
  ]

  it('never throws', () => {
    fc.assert(
      fc.property(json, fc.constantFrom(...operations), (value, operation) => {
        for (const from of ['0.3', '1.0'] as const) {
          request(operation, value, from)
          result(operation, value, from)
          translateError({ code: -32001, message: 'x', data: value }, from, other(from))
        }
      }),
      RUNS,
    )
  })

  it('never throws for what is nested as deep as can be read', () => {
    const nested = (depth: number) => readable(`${'['.repeat(depth)}${']'.repeat(depth)}`)
    let deepest = 1
    for (let step = 4096; step >= 1; step /= 2) {
      if (nested(deepest + step) !== undefined) deepest += step
    }
    for (const depth of [deepest, deepest - 2, deepest - 4, deepest - 8, deepest - 64]) {
      const deep = nested(depth) ?? null
      const error = { code: -32001, message: 'x', data: [{ '@type': 'x', deep }] }
      expect(translateError(error, '1.0', '0.3')['data']).toBeDefined()
      expect(request('send', { message: { parts: [{ data: deep }] } }, '1.0')).toBeDefined()
    }
  })

  it('does not mind the order of the fields of a detail', () => {
    const type = { '@type': 'type.googleapis.com/google.rpc.ErrorInfo' }
    const info = { domain: 'a2a-protocol.org', metadata: { taskId: '1' }, reason: 'TASK_NOT_FOUND' }
    const error = { code: -32001, message: 'x', data: [{ ...info, ...type }] }
    expect(translateError(error, '1.0', '0.3')['data']).toEqual({ taskId: '1' })
  })
})

/** What a translator that knows only the fields of the specification would lose. */
const STRANGE = `{"message":{"kind":"message","messageId":"m","role":"user","x-trace":[9007199254740993],
"parts":[{"kind":"text","text":"t","x-part":1.0},
{"kind":"file","file":{"uri":"https://f.example/","mimeType":"a/b","x-sha":"00"},"metadata":{"k":1e400}},
{"kind":"data","data":{"n":12345678901234567890,"nothing":null}}],"metadata":{"big":-9007199254740995}},
"configuration":{"acceptedOutputModes":[],"blocking":true,"x-conf":{"a":[]}},"metadata":{},"x-params":null}`

describe('what no rule names', () => {
  it('passes as it is written, numbers to the last digit, and comes back', () => {
    const given = parseLossless(STRANGE)
    const there = request('send', given, '0.3')
    const text = JSON.stringify(there)
    expect(text).toContain('"x-trace":[9007199254740993]')
    expect(text).toContain('"x-part":1.0')
    expect(text).toContain('"n":12345678901234567890,"nothing":null')
    expect(text).toContain('"big":-9007199254740995')
    expect(text).toContain('"x-conf":{"a":[]}')
    expect(text).toContain('"x-params":null')
    expect(text).toContain('"urn:atrium:a2a:file":{"x-sha":"00"}')
    const back = JSON.stringify(request('send', there ?? null, '1.0'))
    expect(parseLossless(back)).toEqual(given)
    expect(back).toContain('"k":1e400')
  })

  it('keeps the order of the fields', () => {
    const message = { 'x-1': 1, messageId: 'm', 'x-2': 2, role: 'ROLE_USER', parts: [], 'x-3': 3 }
    const there = request('send', { 'x-0': 0, message }, '1.0')
    expect(JSON.stringify(there)).toBe(
      '{"x-0":0,"message":{"kind":"message","x-1":1,"messageId":"m","x-2":2,"role":"user","parts":[],"x-3":3}}',
    )
  })

  it('takes a field called __proto__ for a field', () => {
    const given = parseLossless(
      '{"message":{"messageId":"m","role":"ROLE_USER","parts":[],"__proto__":{"a":1}}}',
    )
    expect(JSON.stringify(request('send', given, '1.0'))).toContain('"__proto__":{"a":1}')
  })
})
