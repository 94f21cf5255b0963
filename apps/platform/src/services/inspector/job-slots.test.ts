import { describe, expect, it } from 'vitest'
import { JobSlots } from './job-slots.ts'

const NEVER = new AbortController().signal

describe('JobSlots', () => {
  it('gives a place to who waits longest, and counts each workspace alone', async () => {
    const slots = new JobSlots(1)
    const order: string[] = []
    const first = await slots.take('a', NEVER)
    const waiting = ['second', 'third'].map(async (name) => {
      const release = await slots.take('a', NEVER)
      order.push(name)
      release()
    })
    const other = await slots.take('b', NEVER)
    order.push('other')
    first()
    await Promise.all(waiting)
    other()
    expect(order).toEqual(['other', 'second', 'third'])
  })

  it('lets who waits leave, and passes nothing to it', async () => {
    const slots = new JobSlots(1)
    const first = await slots.take('a', NEVER)
    const leaving = new AbortController()
    const left = expect(slots.take('a', leaving.signal)).rejects.toThrow('gone')
    const next = slots.take('a', NEVER)
    leaving.abort(new Error('gone'))
    await left
    first()
    const release = await next
    release()
    const again = await slots.take('a', NEVER)
    again()
  })

  it('has as many places as it was given', async () => {
    const slots = new JobSlots(2)
    const releases = await Promise.all([slots.take('a', NEVER), slots.take('a', NEVER)])
    let isTaken = false
    const third = slots.take('a', NEVER).then((release) => {
      isTaken = true
      return release
    })
    await Promise.resolve()
    expect(isTaken).toBe(false)
    for (const release of releases) release()
    const release = await third
    release()
  })

  it('refuses who comes with a signal that is over', async () => {
    const slots = new JobSlots(1)
    await expect(slots.take('a', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
  })
})
