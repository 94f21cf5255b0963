import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRpcRequest, type RpcRequest, rpcError, rpcRequestText } from './json-rpc.ts'

const FRESH = '00000000-0000-4000-8000-000000000001'
const ids = { uuid: () => FRESH }

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

const parse = (text: string) => parseRpcRequest(bytesOf(text), ids)

function accepted(text: string): RpcRequest {
  const result = parse(text)
  if (!result.ok) throw new Error(`refused: ${result.error.message}`)
  return result.request
}

describe('parseRpcRequest', () => {
  it('reads a request', () => {
    const request = accepted('{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"t"}}')
    expect(request).toMatchObject({ id: 1, method: 'tasks/get', params: { id: 't' } })
    expect(request.wasWrapped).toBe(false)
  })

  it.each(['""', '"a"', '0', '-7', 'null', '9007199254740993', '1.0', '1e400', '-0'])(
    'keeps the id %s, for the reply and for the agent',
    (id) => {
      const request = accepted(`{"jsonrpc":"2.0","id":${id},"method":"m"}`)
      expect(rpcError({ id: request.id, code: -32601, message: 'x' })).toBe(
        `{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":"x"}}`,
      )
      expect(rpcRequestText(request)).toBe(`{"jsonrpc":"2.0","id":${id},"method":"m"}`)
    },
  )

  it('answers a request without an id with null', () => {
    expect(accepted('{"jsonrpc":"2.0","method":"m"}').id).toBeNull()
  })

  it('keeps numbers, key order and unknown fields of a request that it prints again', () => {
    const text =
      '{"x":1.0,"params":{"b":12345678901234567890,"a":[1e2,-0]},"method":"m","jsonrpc":"2.0","id":7}'
    expect(rpcRequestText(accepted(text))).toBe(text)
  })

  it('does not take a sender’s object for one of its own raw numbers', () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"m","params":{"rawJSON":"9"}}'
    expect(rpcRequestText(accepted(text))).toBe(text)
    expect(parse('{"jsonrpc":"2.0","id":{"rawJSON":"9"},"method":"m"}').ok).toBe(false)
  })

  describe('without the envelope', () => {
    it('adds it with a fresh id, and drops other keys', () => {
      const request = accepted('{"method":"message/send","params":{"a":1},"extra":true}')
      expect(request.wasWrapped).toBe(true)
      expect(rpcRequestText(request)).toBe(
        `{"jsonrpc":"2.0","id":"${FRESH}","method":"message/send","params":{"a":1}}`,
      )
    })

    it('keeps the id that the sender chose', () => {
      expect(accepted('{"method":"m","id":9007199254740993}').id).toMatchObject({
        rawJSON: '9007199254740993',
      })
    })

    it('leaves params out when there are none', () => {
      expect(rpcRequestText(accepted('{"method":"m"}'))).not.toContain('params')
    })

    it('is refused without a method', () => {
      expect(parse('{"params":{}}')).toMatchObject({ ok: false, error: { code: -32600 } })
    })
  })

  describe('refuses', () => {
    it.each([
      ['nothing', '', -32700, null],
      ['white space', ' \n', -32700, null],
      ['truncated text', '{"jsonrpc":"2.0"', -32700, null],
      ['something after the request', '{}{}', -32700, null],
      ['a byte order mark', '\ufeff{"jsonrpc":"2.0","id":1,"method":"m"}', -32700, null],
      ['nesting deeper than the stack', '['.repeat(200_000) + ']'.repeat(200_000), -32700, null],
      ['a string', '"m"', -32600, null],
      ['null', 'null', -32600, null],
      ['a number', '9007199254740993', -32600, null],
      ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"m"}]', -32600, null],
      ['an empty batch', '[]', -32600, null],
      ['an empty object', '{}', -32600, null],
      ['another version', '{"jsonrpc":"1.0","id":"a","method":"m"}', -32600, 'a'],
      ['a numeric version', '{"jsonrpc":2.0,"id":"a","method":"m"}', -32600, 'a'],
      ['a null version', '{"jsonrpc":null,"id":"a","method":"m"}', -32600, 'a'],
      ['an object id', '{"jsonrpc":"2.0","id":{},"method":"m"}', -32600, null],
      ['a boolean id', '{"jsonrpc":"2.0","id":true,"method":"m"}', -32600, null],
      ['a list id', '{"jsonrpc":"2.0","id":[1],"method":"m"}', -32600, null],
      ['no method', '{"jsonrpc":"2.0","id":5}', -32600, 5],
      ['a method that is no string', '{"jsonrpc":"2.0","id":5,"method":{}}', -32600, 5],
    ])('%s', (_case, text, code, id) => {
      expect(parse(text)).toMatchObject({ ok: false, error: { code, id } })
    })

    it('bytes that are not UTF-8', () => {
      const bytes = Uint8Array.from([...bytesOf('{"a":"'), 0xff, ...bytesOf('"}')])
      expect(parseRpcRequest(bytes, ids)).toMatchObject({ ok: false, error: { code: -32700 } })
    })

    it('with a text that contains what the contract says', () => {
      for (const text of ['', '7', '[]', '{"jsonrpc":"2.0","id":1}']) {
        const result = parse(text)
        expect(result.ok ? '' : result.error.message).toContain('invalid JSON')
      }
    })
  })

  it('never throws, and never invents a request from anything', () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map(bytesOf),
      fc.string({ unit: 'binary' }).map(bytesOf),
    )
    const property = fc.property(anyBytes, (bytes) => {
      const result = parseRpcRequest(bytes, ids)
      if (!result.ok) expect([-32700, -32600]).toContain(result.error.code)
    })
    fc.assert(property, { numRuns: 1_000 })
  })

  it('prints any request again with the same meaning', () => {
    const property = fc.property(fc.jsonValue(), fc.string(), (params, method) => {
      const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
      expect(rpcRequestText(accepted(text))).toBe(text)
    })
    fc.assert(property)
  })
})

describe('rpcError', () => {
  it('carries data when there is some', () => {
    expect(rpcError({ id: 'a', code: -32602, message: 'm', data: { field: 'x' } })).toBe(
      '{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"m","data":{"field":"x"}}}',
    )
  })
})
