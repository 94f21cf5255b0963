import { describe, expect, it } from 'vitest'
import {
  degradedBy,
  eventOfStatus,
  provisionFailed,
  recoveredByBeat,
  STRUCTURE_EVENTS,
} from './workspace-events.ts'
import { WORKSPACE_STATUSES } from './workspace-status.ts'

const entered = { reason: null, payload: undefined }

describe('eventOfStatus', () => {
  it('has a known event for every status but hibernating', () => {
    const silent = WORKSPACE_STATUSES.filter(
      (status) => eventOfStatus({ ...entered, status }) === undefined,
    )
    expect(silent).toEqual(['hibernating'])
    for (const status of WORKSPACE_STATUSES) {
      const type = eventOfStatus({ ...entered, status })?.type
      if (type !== undefined) expect(STRUCTURE_EVENTS).toContain(type)
    }
  })

  it('tells of an external agent that fell silent as awaited (contract/platform 13.12)', () => {
    expect(eventOfStatus({ ...entered, status: 'awaiting_agent' })?.type).toBe(
      'WORKSPACE_AWAITING_AGENT',
    )
  })

  it('gives the reason unless the move says more', () => {
    const offline = { status: 'offline', reason: 'runtime ended' } as const
    expect(eventOfStatus({ ...offline, payload: undefined })?.payload).toEqual({
      reason: 'runtime ended',
    })
    expect(eventOfStatus({ ...offline, payload: { x: 1 } })?.payload).toEqual({ x: 1 })
    expect(eventOfStatus({ ...entered, status: 'failed', reason: 'no image' })?.payload).toEqual({
      error: 'no image',
    })
    expect(eventOfStatus({ ...entered, status: 'online' })?.payload).toEqual({})
  })
})

describe('payloads', () => {
  it.each([
    [{ error: 'e' }, { error: 'e' }],
    [
      { error: 'e', missing: ['KEY'] },
      { error: 'e', missing: ['KEY'] },
    ],
    [
      { error: 'e', logTail: 'boot' },
      { error: 'e', log_tail: 'boot', source: 'bootstrap_watcher' },
    ],
    [
      { error: 'e', timeout: { seconds: 600, runtimeKind: 'echo' } },
      { error: 'e', timeout_secs: 600, runtime: 'echo', source: 'provision_timeout_sweep' },
    ],
  ])('of a failed start: %j', (failure, payload) => {
    expect(provisionFailed(failure)).toEqual(payload)
  })

  it('of a failed start are bounded, the end of the console being what counts', () => {
    const { error, log_tail: logTail } = provisionFailed({
      error: 'e'.repeat(10_000),
      logTail: `${'x'.repeat(100_000)}last words`,
    })
    expect(String(error)).toHaveLength(2_000)
    expect(String(logTail)).toHaveLength(16_000)
    expect(String(logTail)).toMatch(/last words$/)
  })

  it('of a degraded one name what degraded it', () => {
    expect(degradedBy({ runtimeState: 'wedged', errorRate: 0, sampleError: 's' })).toEqual({
      runtime_state: 'wedged',
      sample_error: 's',
    })
    expect(degradedBy({ runtimeState: 'busy', errorRate: 0.5, sampleError: 's' })).toEqual({
      error_rate: 0.5,
      sample_error: 's',
    })
  })

  it('of an online one tell of a start that a beat ended', () => {
    expect(recoveredByBeat('provisioning')).toEqual({ recovered_from: 'provisioning' })
    expect(recoveredByBeat('offline')).toEqual({})
  })
})
