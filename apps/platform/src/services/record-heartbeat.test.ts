import { describe, expect, it } from 'vitest'
import { statusAfterBeat } from './record-heartbeat.ts'

const calm = { error_rate: 0, runtime_state: '', runtime_metadata: undefined }

describe('statusAfterBeat', () => {
  it('degrades at exactly 0.5 and recovers below 0.1', () => {
    expect(statusAfterBeat('online', { ...calm, error_rate: 0.5 })).toBe('degraded')
    expect(statusAfterBeat('online', { ...calm, error_rate: 0.499 })).toBeUndefined()
    expect(statusAfterBeat('degraded', { ...calm, error_rate: 0.0999 })).toBe('online')
    expect(statusAfterBeat('degraded', { ...calm, error_rate: 0.1 })).toBeUndefined()
  })

  it('lets a wedge degrade whoever reports the status, and block the recovery', () => {
    const native = { capabilities: { status_mgmt: true } }
    const wedged = { ...calm, runtime_state: 'wedged', runtime_metadata: native }
    expect(statusAfterBeat('online', wedged)).toBe('degraded')
    expect(statusAfterBeat('degraded', wedged)).toBeUndefined()
  })

  it('does not trust the shape of the metadata', () => {
    for (const capabilities of [null, 'status_mgmt', 5, [], { status_mgmt: 'yes' }]) {
      const beat = { ...calm, error_rate: 1, runtime_metadata: { capabilities } }
      expect(statusAfterBeat('online', beat)).toBe('degraded')
    }
  })
})
