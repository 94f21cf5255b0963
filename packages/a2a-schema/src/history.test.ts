import { describe, expect, it } from 'vitest'
import { historyLengthOf, withHistoryLength } from './history.ts'
import { parseLossless } from './lossless-json.ts'

const task = { id: 't', history: [{ n: 1 }, { n: 2 }, { n: 3 }] }

describe('withHistoryLength', () => {
  it.each([
    ['all without a length', undefined, task],
    ['none for 0, and no empty list', 0, { id: 't' }],
    ['the last ones', 2, { id: 't', history: [{ n: 2 }, { n: 3 }] }],
    ['all when there are fewer', 7, task],
  ])('keeps %s', (_case, length, kept) => {
    expect(withHistoryLength(task, length)).toEqual(kept)
  })

  it('leaves a task without a history alone', () => {
    expect(withHistoryLength({ id: 't' }, 0)).toEqual({ id: 't' })
  })
})

describe('historyLengthOf', () => {
  it.each([
    [{ historyLength: 3 }, 3],
    [{ historyLength: 0 }, 0],
    [{ configuration: { historyLength: 2 }, message: {} }, 2],
    [{ historyLength: -1 }, undefined],
    [{ historyLength: null }, undefined],
    [{ configuration: [] }, undefined],
    [{}, undefined],
    [undefined, undefined],
  ])('of %j is %s', (params, length) => {
    expect(historyLengthOf(params)).toBe(length)
  })

  it('is a number also when it is written as one with a point', () => {
    expect(historyLengthOf(parseLossless('{"historyLength":1.0}'))).toBe(1)
    expect(historyLengthOf(parseLossless('{"configuration":{"historyLength":0.0}}'))).toBe(0)
  })
})
