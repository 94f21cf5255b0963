import { parseLossless } from '@atrium/a2a-schema/lossless-json'
import { describe, expect, it } from 'vitest'
import { tokenUsageOf } from './token-usage.ts'

const of = (text: string) => tokenUsageOf(parseLossless(text))

describe('tokenUsageOf', () => {
  it.each([
    ['{"result":{"usage":{"input_tokens":12,"output_tokens":3}}}', 12, 3],
    ['{"usage":{"input_tokens":12,"output_tokens":3}}', 12, 3],
    ['{"result":{"usage":{"input_tokens":1}},"usage":{"input_tokens":9}}', 1, 0],
    ['{"result":{"usage":{"output_tokens":0}}}', 0, 0],
    ['{"usage":{"input_tokens":12.0,"output_tokens":1e3}}', 12, 1_000],
    ['{"usage":{"input_tokens":1000000000,"output_tokens":"7"}}', 1_000_000_000, 0],
    ['{"usage":{"input_tokens":-5,"output_tokens":2}}', 0, 2],
  ])('reads %s', (text, inputTokens, outputTokens) => {
    expect(of(text)).toEqual({ inputTokens, outputTokens })
  })

  it.each([
    '"7"',
    '-1',
    '1.5',
    '1e300',
    '1e400',
    '9007199254740993',
    '1000000001',
    'null',
    'true',
    '[7]',
    '{"rawJSON":"7"}',
  ])('counts no %s', (value) => {
    expect(of(`{"usage":{"input_tokens":${value},"output_tokens":${value}}}`)).toBeUndefined()
  })

  it.each([
    'null',
    '[]',
    '{}',
    '{"result":"usage"}',
    '{"result":{"usage":[1,2]}}',
    '{"usage":{}}',
    '{"__proto__":{"usage":{"input_tokens":7}}}',
  ])('finds nothing in %s', (text) => {
    expect(of(text)).toBeUndefined()
  })
})
