import { describe, expect, it } from 'vitest'
import { RestartBudget } from './restart-budget.ts'

describe('RestartBudget', () => {
  it('doubles the delay from half a second and gives up after five restarts', () => {
    const budget = new RestartBudget()
    const verdicts = Array.from({ length: 6 }, () => budget.note('w', 0))
    expect(verdicts).toEqual([
      { kind: 'restart', delayMs: 500 },
      { kind: 'restart', delayMs: 1000 },
      { kind: 'restart', delayMs: 2000 },
      { kind: 'restart', delayMs: 4000 },
      { kind: 'restart', delayMs: 8000 },
      { kind: 'give_up', deaths: 6 },
    ])
  })

  it('forgets deaths older than ten minutes and those of a removed workspace', () => {
    const budget = new RestartBudget()
    for (let death = 0; death < 5; death += 1) budget.note('w', 0)
    expect(budget.note('w', 600_000)).toEqual({ kind: 'restart', delayMs: 500 })
    budget.forget('w')
    expect(budget.note('w', 600_001)).toEqual({ kind: 'restart', delayMs: 500 })
  })

  it('counts every workspace for itself', () => {
    const budget = new RestartBudget()
    for (let death = 0; death < 5; death += 1) budget.note('a', 0)
    expect(budget.note('b', 0)).toMatchObject({ kind: 'restart', delayMs: 500 })
  })
})
