import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRpcRequest, type RpcRequest, rpcRequestText } from './json-rpc.ts'
import { type Normalised, normaliseRequest } from './normalise.ts'

const ids = { uuid: () => '00000000-0000-4000-8000-000000000001' }

function parsed(text: string): RpcRequest {
  const result = parseRpcRequest(new TextEncoder().encode(text), ids)
  if (!result.ok) throw new Error(result.error.message)
  return result.request
}

function normalised(text: string): Normalised {
  const result = normaliseRequest(parsed(text), ids)
  if (!result.ok) throw new Error(result.error.message)
  return result
}

const METHODS = [
  'message/send',
  'message/stream',
  'SendMessage',
  'SendStreamingMessage',
  'tasks/send',
  'GetTask',
  'ListTasks',
]

/** What many senders write, one way or another. */
const goodPart = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.record({ kind: fc.constant('text'), text: fc.string() }),
  fc.record({ type: fc.constant('text'), text: fc.string(), kind: fc.constant(null) }),
  fc.record({ text: fc.string(), vendor: fc.jsonValue({ maxDepth: 1 }) }),
  fc.record({ root: fc.record({ kind: fc.constant('text'), text: fc.string() }) }),
  fc.record({ data: fc.jsonValue({ maxDepth: 2 }) }),
  fc.record({ raw: fc.base64String(), mimeType: fc.string(), name: fc.string() }),
  fc.record({ kind: fc.constant('file'), file: fc.record({ fileWithBytes: fc.base64String() }) }),
  fc.record({
    type: fc.constant('file'),
    file: fc.record({ url: fc.webUrl(), media_type: fc.string() }),
  }),
)

/** Values around the shapes that the rules look for. */
const nearPart = fc.oneof(
  { weight: 20, arbitrary: goodPart },
  fc.string(),
  fc.jsonValue({ maxDepth: 2 }),
  fc.record(
    {
      kind: fc.oneof(fc.constantFrom('text', 'file', 'data', null), fc.jsonValue({ maxDepth: 1 })),
      type: fc.constantFrom('text', 'file', 'data', 'other', null),
      text: fc.oneof(fc.string(), fc.constant(null), fc.integer()),
      data: fc.jsonValue({ maxDepth: 2 }),
      raw: fc.oneof(fc.base64String(), fc.string()),
      url: fc.oneof(fc.webUrl(), fc.constant('')),
      root: fc.record({ kind: fc.constant('text'), text: fc.string() }),
      file: fc.record(
        {
          bytes: fc.base64String(),
          fileWithUri: fc.webUrl(),
          data: fc.string(),
          name: fc.string(),
          media_type: fc.string(),
          vendor: fc.jsonValue({ maxDepth: 1 }),
        },
        { requiredKeys: [] },
      ),
      metadata: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }), {
        noNullPrototype: true,
      }),
    },
    { requiredKeys: [] },
  ),
)
const nearMetadata = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }), { noNullPrototype: true }),
  },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) },
)
const nearParts = fc.oneof(nearPart, fc.array(nearPart, { maxLength: 3 }))
const MEMBERS = {
  kind: fc.constantFrom('message', 'message', 'message', null, 'task'),
  messageId: fc.oneof(fc.string(), fc.uuid(), fc.constant(null), fc.constant(5)),
  message_id: fc.constantFrom('', null),
  role: fc.constantFrom('user', 'ROLE_USER', 'agent', 1, 'User', null, 'robot'),
  contextId: fc.oneof(fc.string(), fc.string(), fc.string(), fc.integer()),
  metadata: nearMetadata,
  vendor: fc.jsonValue({ maxDepth: 1 }),
  ['__proto__']: fc.jsonValue({ maxDepth: 1 }),
}
const LOOSE: { requiredKeys: never[]; noNullPrototype: true } = {
  requiredKeys: [],
  noNullPrototype: true,
}
const nearMessage = fc.oneof(
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  { weight: 4, arbitrary: fc.record({ ...MEMBERS, parts: nearParts }, LOOSE) },
  { weight: 4, arbitrary: fc.record({ ...MEMBERS, content: nearParts }, LOOSE) },
  { weight: 1, arbitrary: fc.record({ ...MEMBERS, parts: nearParts, content: nearParts }, LOOSE) },
)
const nearParams = fc.oneof(
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  { weight: 1, arbitrary: nearMessage },
  {
    weight: 8,
    arbitrary: fc.record(
      {
        message: nearMessage,
        id: fc.oneof(fc.string(), fc.integer()),
        sessionId: fc.oneof(fc.string(), fc.integer()),
        configuration: fc.oneof(
          fc.jsonValue({ maxDepth: 1 }),
          fc.record(
            {
              blocking: fc.oneof(fc.boolean(), fc.constant(null)),
              returnImmediately: fc.boolean(),
              pushNotification: fc.record({ url: fc.webUrl() }),
              historyLength: fc.nat(),
            },
            { requiredKeys: [], noNullPrototype: true },
          ),
        ),
        metadata: nearMetadata,
      },
      { requiredKeys: ['message'], noNullPrototype: true },
    ),
  },
)

describe('any request', () => {
  it('is made right once and for all, or refused with a field', () => {
    let acceptedOnes = 0
    const property = fc.property(fc.constantFrom(...METHODS), nearParams, (method, params) => {
      const text = JSON.stringify({ jsonrpc: '2.0', id: 7, method, params })
      const result = normaliseRequest(parsed(text), ids)
      if (!result.ok) {
        expect(result.error).toMatchObject({ code: -32602, id: 7 })
        expect(JSON.stringify(result.error.data)).toMatch(/"field":"params/)
        return
      }
      if (method !== 'GetTask' && method !== 'ListTasks') acceptedOnes += 1
      const again = normalised(rpcRequestText(result.request))
      expect(again).toMatchObject({ changed: false, notes: [], mintedMessageId: undefined })
    })
    fc.assert(property, { numRuns: 2_000 })
    // The property would hold for a rule that refuses everything.
    expect(acceptedOnes).toBeGreaterThan(100)
  })

  it('keeps what it does not know, to the digit', () => {
    const number = fc.constantFrom('1.0', '1e400', '9007199254740993', '12345678901234567890.10')
    const shapes = fc.constantFrom(
      ['message/send', '"content":"hi"', '{"n":N}'],
      ['message/send', '"parts":[{"type":"text","text":"hi","v":N}]', 'N'],
      ['message/send', '"role":1,"parts":[{"raw":"QQ","v":N}]', '[N]'],
      [
        'SendMessage',
        '"parts":[{"data":{"v":N}},{"kind":"file","file":{"url":"u","v":N}}]',
        '{"n":N}',
      ],
      ['tasks/send', '"parts":[{"root":{"type":"data","data":{"v":N}}}]', '[[N]]'],
    )
    const property = fc.property(shapes, number, ([method = '', body = '', vendor = ''], n) => {
      const text = `{"jsonrpc":"2.0","id":${n},"method":"${method}","params":{"w":${vendor},"message":{${body},"x":${vendor},"metadata":{"m":N}}}}`
      const { request } = normalised(text.replaceAll('N', n))
      const out = rpcRequestText(request)
      expect(out.split(n).length).toBe(text.replaceAll('N', n).split(n).length)
    })
    fc.assert(property)
  })
})
