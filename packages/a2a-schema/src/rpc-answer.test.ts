import { describe, expect, it } from 'vitest'
import type { RpcId } from './json-rpc.ts'
import { isJsonNumber, parseLossless } from './lossless-json.ts'
import { answerWithId, readRpcAnswer } from './rpc-answer.ts'

/** As a gateway passes it on to who has asked under the id. */
const read = (text: string, id: RpcId = 1) => {
  const answer = readRpcAnswer(Buffer.from(text))
  return answer && answerWithId(answer, id).toString('utf8')
}

describe('an answer', () => {
  it('leaves every byte of an answer to this very request as it is', () => {
    const text = '{ "id":1, "jsonrpc" : "2.0","result":{"n":1.0,"big":9007199254740993} }'
    expect(read(text)).toBe(text)
  })

  it('gives it the id of its request: of the right type, or at all', () => {
    expect(read('{"jsonrpc":"2.0","id":"1","result":{}}')).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{}}',
    )
    const raw = parseLossless('9007199254740993')
    if (!isJsonNumber(raw)) throw new Error('not a number')
    const answer = read('{"jsonrpc":"2.0","id":9007199254740992,"result":null}', raw)
    expect(answer).toBe('{"jsonrpc":"2.0","id":9007199254740993,"result":null}')
    expect(JSON.parse(read('{"jsonrpc":"2.0","result":{}}') ?? '')).toMatchObject({ id: 1 })
  })

  it('passes on what is nested deeper than anybody reads', () => {
    const text = `{"jsonrpc":"2.0","id":1,"result":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
    expect(read(text) === text).toBe(true)
  })

  it('takes a byte order mark off', () => {
    expect(read('\ufeff{"jsonrpc":"2.0","id":1,"result":{}}')?.charCodeAt(0)).toBe(
      '{'.charCodeAt(0),
    )
  })

  it.each([
    ['an error', '{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"no"}}'],
    [
      'an error beside no result',
      '{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":""}}',
    ],
    ['a result beside no error', '{"jsonrpc":"2.0","id":1,"result":{},"error":null}'],
    ['a result that is null', '{"jsonrpc":"2.0","id":1,"result":null}'],
  ])('takes %s for an answer', (_, text) => {
    expect(read(text)).toBe(text)
  })

  it.each([
    ['nothing', ''],
    ['a page', '<!doctype html>'],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"result":{}}]'],
    ['two answers', '{"jsonrpc":"2.0","id":1,"result":{}}{}'],
    ['neither result nor error', '{"jsonrpc":"2.0","id":1}'],
    ['both', '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"no"}}'],
    ['an error in words', '{"jsonrpc":"2.0","id":1,"error":"no"}'],
    ['an error without a number', '{"jsonrpc":"2.0","id":1,"error":{"message":"no"}}'],
    ['an error without words', '{"jsonrpc":"2.0","id":1,"error":{"code":1}}'],
    ['another version', '{"jsonrpc":"1.0","id":1,"result":{}}'],
    ['what is nested without end', '['.repeat(200_000)],
  ])('takes %s for none', (_, text) => {
    expect(read(text)).toBeUndefined()
  })

  it('takes bytes that are no text for none', () => {
    expect(readRpcAnswer(Buffer.alloc(16, 0xff))).toBeUndefined()
  })
})
