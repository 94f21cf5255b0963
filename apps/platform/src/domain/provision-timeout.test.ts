import { describe, expect, it } from 'vitest'
import { provisionTimeoutMs, shortestProvisionTimeoutMs } from './provision-timeout.ts'

describe('provisionTimeoutMs', () => {
  it.each([
    ['langgraph', undefined, 600_000],
    ['hermes', undefined, 1_800_000],
    ['langgraph', 5_000, 5_000],
    ['hermes', 5_000, 5_000],
  ])('gives a start of %s, with %s from the operator, %s ms', (kind, override, expected) => {
    expect(provisionTimeoutMs(kind, override)).toBe(expected)
    expect(shortestProvisionTimeoutMs(override)).toBeLessThanOrEqual(expected)
  })
})
