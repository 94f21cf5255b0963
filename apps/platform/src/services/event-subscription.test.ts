import { systemClock } from '@atrium/http-kit/clock'
import { describe, expect, it } from 'vitest'
import { EventSubscription, MAX_QUEUED_EVENTS } from './event-subscription.ts'

const A = 'a'

function subscribe(workspaceId?: string): EventSubscription {
  return new EventSubscription({ clock: systemClock, workspaceId, onClose: () => undefined })
}

function event(seq: number | undefined, workspaceId = A) {
  return { seq, type: 'X', workspaceId, timestamp: new Date(0), payload: {} }
}

function fill(subscription: EventSubscription, seqOf: (index: number) => number | undefined): void {
  for (let index = 0; index < MAX_QUEUED_EVENTS + 10; index += 1) {
    subscription.offer(event(seqOf(index)))
  }
}

describe('EventSubscription', () => {
  it('takes what concerns its workspace, or everything', () => {
    const [ofOne, ofAll] = [subscribe(A), subscribe()]
    for (const subscription of [ofOne, ofAll]) {
      subscription.offer(event(1))
      subscription.offer(event(2, 'b'))
    }
    expect(ofOne.take().events).toHaveLength(1)
    expect(ofAll.take().events).toHaveLength(2)
  })

  it('says that kept events went by when they do not fit, and fills again after that', () => {
    const subscription = subscribe()
    subscription.offer(event(undefined))
    fill(subscription, (index) => index + 1)
    const taken = subscription.take()
    expect(taken).toMatchObject({ hasMissedKept: true, lost: 0 })
    // None of the kept: what is in the queue would come before what has to be read.
    expect(taken.events.map(({ seq }) => seq)).toEqual([undefined])
    subscription.offer(event(900))
    expect(subscription.take()).toMatchObject({ hasMissedKept: false, events: [{ seq: 900 }] })
  })

  it('counts what is kept nowhere and did not fit', () => {
    const subscription = subscribe()
    fill(subscription, () => undefined)
    expect(subscription.take()).toMatchObject({ hasMissedKept: false, lost: 10 })
    expect(subscription.take()).toEqual({ events: [], hasMissedKept: false, lost: 0 })
  })

  it('wakes who waits, when something comes and when it ends', async () => {
    const subscription = subscribe()
    const coming = subscription.wait(60_000)
    subscription.offer(event(1))
    expect(await coming).toBe(true)
    subscription.take()
    expect(await subscription.wait(1)).toBe(false)
    const ending = subscription.wait(60_000)
    subscription.close()
    expect(await ending).toBe(true)
    expect(subscription.isEnded).toBe(true)
  })
})
