import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseLossless } from './lossless-json.ts'
import { isInterrupted, isTerminal, readState, stateName, TASK_STATES } from './task-state.ts'

describe('readState', () => {
  it.each([
    ['submitted', 'TASK_STATE_SUBMITTED'],
    ['working', 'TASK_STATE_WORKING'],
    ['input-required', 'TASK_STATE_INPUT_REQUIRED'],
    ['auth-required', 'TASK_STATE_AUTH_REQUIRED'],
    ['completed', 'TASK_STATE_COMPLETED'],
    ['canceled', 'TASK_STATE_CANCELED'],
    ['failed', 'TASK_STATE_FAILED'],
    ['rejected', 'TASK_STATE_REJECTED'],
    ['unknown', 'TASK_STATE_UNSPECIFIED'],
    ['Working', 'TASK_STATE_WORKING'],
    ['INPUT_REQUIRED', 'TASK_STATE_INPUT_REQUIRED'],
    ['input_required', 'TASK_STATE_INPUT_REQUIRED'],
    ['task_state_working', 'TASK_STATE_WORKING'],
    ['cancelled', 'TASK_STATE_CANCELED'],
    ['TASK_STATE_CANCELLED', 'TASK_STATE_CANCELED'],
    ['TASK_STATE_UNSPECIFIED', 'TASK_STATE_UNSPECIFIED'],
    [0, 'TASK_STATE_UNSPECIFIED'],
    [3, 'TASK_STATE_COMPLETED'],
    [6, 'TASK_STATE_INPUT_REQUIRED'],
    [8, 'TASK_STATE_AUTH_REQUIRED'],
  ])('reads %j as %s', (value, state) => {
    expect(readState(value)).toBe(state)
  })

  it.each([undefined, null, '', 'done', 9, -1, 1.5, true, ['working'], { state: 'working' }])(
    'knows nothing of %j',
    (value) => {
      expect(readState(value)).toBeUndefined()
    },
  )

  it('does not take a number that is kept as text for a state', () => {
    expect(readState(parseLossless('1.0'))).toBeUndefined()
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const state = readState(parseLossless(JSON.stringify(value)))
        expect(state === undefined || TASK_STATES.includes(state)).toBe(true)
      }),
    )
  })
})

describe('stateName', () => {
  it.each(['0.1', '0.3', '1.0'] as const)('is read back from what %s writes', (dialect) => {
    for (const state of TASK_STATES) expect(readState(stateName(state, dialect))).toBe(state)
  })

  it('spells as the dialect does', () => {
    expect(stateName('TASK_STATE_CANCELED', '0.3')).toBe('canceled')
    expect(stateName('TASK_STATE_INPUT_REQUIRED', '0.1')).toBe('input-required')
    expect(stateName('TASK_STATE_CANCELED', '1.0')).toBe('TASK_STATE_CANCELED')
  })
})

describe('the kinds of state', () => {
  it('ends with four of them and waits in two', () => {
    expect(TASK_STATES.filter(isTerminal)).toEqual([
      'TASK_STATE_COMPLETED',
      'TASK_STATE_FAILED',
      'TASK_STATE_CANCELED',
      'TASK_STATE_REJECTED',
    ])
    expect(TASK_STATES.filter(isInterrupted)).toEqual([
      'TASK_STATE_INPUT_REQUIRED',
      'TASK_STATE_AUTH_REQUIRED',
    ])
  })
})
