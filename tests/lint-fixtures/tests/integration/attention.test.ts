import { describe, it, vi } from 'vitest'

vi.mock('../../apps/platform/src/app.ts') // <- plugin
vi.stubGlobal('fetch', () => undefined) // <- plugin

describe('a rule', () => {
  it('holds', () => undefined)
  it.only('is the only one', () => undefined) // <- lint/suspicious/noFocusedTests
  it.skip('is forgotten', () => undefined) // <- lint/suspicious/noSkippedTests
  vi.useRealTimers()
})
