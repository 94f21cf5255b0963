import { describe, expect, it } from 'vitest'
import { WorkMeter } from './work-meter.ts'

describe('WorkMeter', () => {
  it('tells of every begin and end', () => {
    let changes = 0
    const meter = new WorkMeter(() => {
      changes += 1
    })
    const work = meter.begin('title')
    expect([changes, meter.report().activeTasks]).toEqual([1, 1])
    work.end()
    work.end('a second end is none')
    expect([changes, meter.report().activeTasks, meter.report().errors]).toEqual([2, 0, 0])
  })

  it('shows the oldest of the running ones, its first line only', () => {
    const meter = new WorkMeter(() => undefined)
    const first = meter.begin('\n  first\r\nsecond line')
    meter.begin('x'.repeat(300))
    expect(meter.report().currentTask).toBe('first')
    first.end()
    expect(meter.report().currentTask).toHaveLength(200)
  })

  it('tells again what happened while the beat was on its way', () => {
    const meter = new WorkMeter(() => undefined)
    meter.begin('a').end('failure one')
    const told = meter.report()
    meter.begin('b').end('failure two')
    meter.markReported(told)
    expect(meter.report()).toMatchObject({ requests: 1, errors: 1, sampleError: 'failure two' })
    meter.markReported(meter.report())
    expect(meter.report()).toMatchObject({ requests: 0, errors: 0, sampleError: '' })
  })
})
