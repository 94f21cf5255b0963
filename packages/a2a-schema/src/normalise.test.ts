import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRpcRequest, type RpcRequest, rpcRequestText } from './json-rpc.ts'
import { normaliseRequest } from './normalise.ts'

const FRESH = '00000000-0000-4000-8000-000000000001'
const ids = { uuid: () => FRESH }

function request(message: unknown, method = 'message/send'): RpcRequest {
  const text = JSON.stringify({ jsonrpc: '2.0', id: 7, method, params: { message, vendor: 1 } })
  const result = parseRpcRequest(new TextEncoder().encode(text), ids)
  if (!result.ok) throw new Error(result.error.message)
  return result.request
}

/** The message that would be forwarded. */
function forwarded(message: unknown, method?: string): unknown {
  const result = normaliseRequest(request(message, method), ids)
  if (!result.ok) throw new Error(result.error.message)
  return JSON.parse(rpcRequestText(result.request)).params.message
}

const TEXT_PART = { kind: 'text', text: 'hi' }

describe('normaliseRequest', () => {
  describe('leaves alone', () => {
    it.each([
      ['a message of the current shape', { messageId: 'm', role: 'user', parts: [TEXT_PART] }],
      ['several parts', { messageId: 'm', parts: [TEXT_PART, { kind: 'file', file: {} }] }],
      ['an empty message id', { messageId: '', parts: [TEXT_PART] }],
      ['a null message id', { messageId: null, parts: [TEXT_PART] }],
      ['no message', undefined],
      ['a null message', null],
    ])('%s', (_case, message) => {
      const original = request(message)
      expect(normaliseRequest(original, ids)).toEqual({
        ok: true,
        changed: false,
        request: original,
      })
    })

    it.each(['tasks/list', 'tasks/get', 'GetTask', 'vendor.x/y', 'constructor'])(
      'what %s carries',
      (method) => {
        const original = request({ content: 5 }, method)
        const result = normaliseRequest(original, ids)
        expect(result).toEqual({ ok: true, changed: false, request: original })
      },
    )

    it.each(['[1]', '"x"', 'null', '1.0'])('params %s, which the agent judges', (params) => {
      const text = `{"jsonrpc":"2.0","id":1,"method":"message/send","params":${params}}`
      const parsed = parseRpcRequest(new TextEncoder().encode(text), ids)
      expect(parsed.ok && normaliseRequest(parsed.request, ids)).toMatchObject({ changed: false })
    })
  })

  describe('repairs', () => {
    it.each([
      ['a text in content', { messageId: 'm', content: 'hi' }, [TEXT_PART]],
      ['a list in content', { messageId: 'm', content: [TEXT_PART] }, [TEXT_PART]],
      ['content beside null parts', { messageId: 'm', content: 'hi', parts: null }, [TEXT_PART]],
      [
        'both, in favour of parts',
        { messageId: 'm', content: 'no', parts: [TEXT_PART] },
        [TEXT_PART],
      ],
      [
        'null content beside parts',
        { messageId: 'm', content: null, parts: [TEXT_PART] },
        [TEXT_PART],
      ],
    ])('%s', (_case, message, parts) => {
      expect(forwarded(message)).toEqual({ messageId: 'm', parts })
    })

    it('a missing message id', () => {
      expect(forwarded({ role: 'user', parts: [TEXT_PART] })).toEqual({
        role: 'user',
        parts: [TEXT_PART],
        messageId: FRESH,
      })
    })

    it('a text for the 1.0 dialect without a kind', () => {
      expect(forwarded({ messageId: 'm', content: 'hi' }, 'SendMessage')).toEqual({
        messageId: 'm',
        parts: [{ text: 'hi' }],
      })
    })

    it.each(['message/send', 'message/stream', 'SendMessage', 'SendStreamingMessage'])(
      'messages of %s',
      (method) => {
        expect(forwarded({ content: [TEXT_PART] }, method)).toEqual({
          parts: [TEXT_PART],
          messageId: FRESH,
        })
      },
    )

    it('nothing else: id, other params and large numbers stay as they were', () => {
      const text =
        '{"jsonrpc":"2.0","id":9007199254740993,"method":"message/send","params":{"n":1.0,"message":{"content":"hi"}},"x":1}'
      const parsed = parseRpcRequest(new TextEncoder().encode(text), ids)
      const result = parsed.ok ? normaliseRequest(parsed.request, ids) : parsed
      expect(result.ok && rpcRequestText(result.request)).toBe(
        `{"jsonrpc":"2.0","id":9007199254740993,"method":"message/send","params":{"n":1.0,"message":{"parts":[{"kind":"text","text":"hi"}],"messageId":"${FRESH}"}},"x":1}`,
      )
    })

    it('a bare sender, whose bytes must not be forwarded as they are', () => {
      const text = '{"method":"message/send","params":{"message":{"messageId":"m","parts":[{}]}}}'
      const parsed = parseRpcRequest(new TextEncoder().encode(text), ids)
      expect(parsed.ok && normaliseRequest(parsed.request, ids)).toMatchObject({ changed: true })
    })
  })

  describe('refuses, naming the field', () => {
    it.each([
      ['neither parts nor content', { messageId: 'm', role: 'user' }],
      ['a number in content', { content: 5 }],
      ['a large number in content', { content: 1e300 }],
      ['a boolean in content', { content: true }],
      ['an object in content', { content: { text: 'hi' } }],
      ['empty content', { content: '' }],
      ['an empty list in content', { content: [] }],
      ['no parts in the list', { parts: [] }],
      ['parts that are no list', { parts: 'hi', content: 'hi' }],
      ['an object for parts', { parts: {} }],
    ])('%s', (_case, message) => {
      expect(normaliseRequest(request(message), ids)).toMatchObject({
        ok: false,
        error: { code: -32602, id: 7, data: { field: 'params.message.parts' } },
      })
    })

    it.each(['hi', 5, [TEXT_PART], true])('the message %j', (message) => {
      expect(normaliseRequest(request(message), ids)).toMatchObject({
        ok: false,
        error: { code: -32602, id: 7, data: { field: 'params.message' } },
      })
    })
  })

  it('does not take a number that it keeps as text for a message', () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"message/send","params":{"message":1e400}}'
    const parsed = parseRpcRequest(new TextEncoder().encode(text), ids)
    expect(parsed.ok && normaliseRequest(parsed.request, ids)).toMatchObject({
      error: { data: { field: 'params.message' } },
    })
  })

  it('forwards a message with an id, parts and no content, or nothing at all', () => {
    const message = fc.record(
      {
        messageId: fc.oneof(fc.string(), fc.constant(null)),
        content: fc.oneof(fc.jsonValue(), fc.string(), fc.array(fc.jsonValue())),
        parts: fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue())),
        role: fc.string(),
      },
      { requiredKeys: [] },
    )
    const property = fc.property(message, (sent) => {
      const result = normaliseRequest(request(sent), ids)
      if (!result.ok) {
        expect(result.error.data).toMatchObject({ field: 'params.message.parts' })
        return
      }
      const out = JSON.parse(rpcRequestText(result.request)).params.message
      expect(out.parts.length).toBeGreaterThan(0)
      expect(Object.keys(out)).toContain('messageId')
      expect(Object.keys(out)).not.toContain('content')
      expect(normaliseRequest(result.request, ids)).toMatchObject({ changed: false })
    })
    fc.assert(property, { numRuns: 1_000 })
  })
})
