import { describe, expect, it } from 'vitest'
import { type GoalFacts, lifecycleGoal } from './lifecycle-goal.ts'

const ROW: GoalFacts = {
  status: 'provisioning',
  runtimeKind: 'echo',
  generation: 3,
  boxGeneration: 3,
  boxStartedAt: null,
}
const STARTED = new Date('2026-11-21T00:00:00Z')

describe('lifecycleGoal', () => {
  it.each([
    ['a start is wanted', {}, 'start'],
    ['its box is up and its agent has not spoken', { boxStartedAt: STARTED }, 'keep'],
    ['its box is of an older generation', { boxStartedAt: STARTED, boxGeneration: 2 }, 'start'],
    ['it died', { status: 'offline' }, 'start'],
    ['its agent was never started here and went', { status: 'offline', generation: 0 }, 'keep'],
    ['it is online', { status: 'online' }, 'keep'],
    ['it is degraded', { status: 'degraded' }, 'keep'],
    ['it is online and its box is gone', { status: 'online', boxGeneration: null }, 'start'],
    ['it is degraded and its box is gone', { status: 'degraded', boxGeneration: null }, 'start'],
    [
      'it is online and was never started here',
      { status: 'online', generation: 0, boxGeneration: null },
      'keep',
    ],
    ['it was paused', { status: 'paused' }, 'stop'],
    ['it was paused and its box is gone', { status: 'paused', boxGeneration: null }, 'keep'],
    ['it goes to sleep', { status: 'hibernating' }, 'stop'],
    ['it goes to sleep without a box', { status: 'hibernating', boxGeneration: null }, 'stop'],
    ['it failed and left a box', { status: 'failed' }, 'stop'],
    ['it was removed', { status: 'removed', boxGeneration: null }, 'remove'],
    [
      'it is external and waited for',
      { status: 'awaiting_agent', runtimeKind: 'external' },
      'keep',
    ],
    ['it is external and paused', { status: 'paused', runtimeKind: 'external' }, 'keep'],
    ['it is external and removed', { status: 'removed', runtimeKind: 'external' }, 'remove'],
  ] as const)('when %s: %o -> %s', (_name, facts, goal) => {
    expect(lifecycleGoal({ ...ROW, ...facts })).toBe(goal)
  })
})
