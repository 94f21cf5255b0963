import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRpcRequest, type RpcId } from './json-rpc.ts'
import { replaceId } from './replace-id.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

const replaced = (text: string, id: RpcId): string =>
  new TextDecoder().decode(replaceId(bytesOf(text), id))

function bigId(): RpcId {
  const parsed = parseRpcRequest(bytesOf('{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}'), {
    uuid: () => 'unused',
  })
  if (!parsed.ok) throw new Error(parsed.error.message)
  return parsed.request.id
}

describe('replaceId', () => {
  it.each<[string, RpcId, string]>([
    ['{"jsonrpc":"2.0","id":1,"result":{}}', 'a', '{"jsonrpc":"2.0","id":"a","result":{}}'],
    ['{"id":"old","result":{"id":"old"}}', 0, '{"id":0,"result":{"id":"old"}}'],
    ['{"result":{"id":1,"x":[{"id":2}]},"id":3}', 4, '{"result":{"id":1,"x":[{"id":2}]},"id":4}'],
    ['{"id":null}', '', '{"id":""}'],
    [' { "id" : 12.50 , "n" : 1.0 } ', null, ' { "id" : null , "n" : 1.0 } '],
    ['{"a":"\\"id\\":7","id":7}', 8, '{"a":"\\"id\\":7","id":8}'],
    ['{"a":"}]","id":{"b":[1,"}"]},"c":2}', 1, '{"a":"}]","id":1,"c":2}'],
    ['{"\\u0069d":1}', 2, '{"\\u0069d":2}'],
    ['{"id":1,"id":2}', 3, '{"id":3,"id":3}'],
    ['{"result":5}', 1, '{"id":1,"result":5}'],
    ['{}', 1, '{"id":1}'],
    [' { } ', 1, ' {"id":1 } '],
    [
      '{"id":1,"n":12345678901234567890,"e":1e400}',
      2,
      '{"id":2,"n":12345678901234567890,"e":1e400}',
    ],
  ])('makes of %j with %j: %j', (text, id, expected) => {
    expect(replaced(text, id)).toBe(expected)
  })

  it('writes an id that no JavaScript number can hold', () => {
    expect(replaced('{"id":1}', bigId())).toBe('{"id":9007199254740993}')
  })

  it('changes nothing but the id of any object', () => {
    const object = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue(), {
      noNullPrototype: true,
    })
    const property = fc.property(object, fc.jsonValue(), fc.string(), (sent, id, fresh) => {
      const text = JSON.stringify({ ...sent, id }, null, 1)
      expect(JSON.parse(replaced(text, fresh))).toEqual(
        JSON.parse(JSON.stringify({ ...sent, id: fresh })),
      )
    })
    fc.assert(property, { numRuns: 500 })
  })

  it('reads a key that is no JSON as another key', () => {
    expect(replaced('{"\\q":1,"id":2}', 3)).toBe('{"\\q":1,"id":3}')
  })

  it('neither throws nor hangs on anything', () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .string({ unit: fc.constantFrom('{', '}', '[', ']', '"', '\\', ':', ',', 'i', 'd', ' ') })
        .map(bytesOf),
    )
    fc.assert(
      fc.property(anyBytes, (bytes) => replaceId(bytes, 1).length > 0),
      { numRuns: 2_000 },
    )
  })
})
