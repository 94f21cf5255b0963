import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { WorkQueue } from './work-queue.ts'

const never = new AbortController().signal

/** Work that ends when it is told to, and remembers that it began. */
function work(name: string, began: string[]) {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  return {
    run: () => {
      began.push(name)
      return promise
    },
    end: () => resolve(name),
    fail: () => reject(new Error(name)),
  }
}

const turn = () => nextTurn()

describe('WorkQueue', () => {
  it('runs one after the other in the order they came', async () => {
    const queue = new WorkQueue({ concurrency: 1, maxWaiting: 10 })
    const began: string[] = []
    const jobs = ['a', 'b', 'c'].map((name) => work(name, began))
    const results = jobs.map((job) => queue.run(job.run, never))
    await turn()
    expect(began).toEqual(['a'])
    jobs[0]?.end()
    await turn()
    expect(began).toEqual(['a', 'b'])
    for (const job of jobs) job.end()
    expect(await Promise.all(results)).toEqual(['a', 'b', 'c'])
  })

  it('does not let a newcomer overtake who waits, nor run more than allowed', async () => {
    const queue = new WorkQueue({ concurrency: 1, maxWaiting: 10 })
    const began: string[] = []
    const first = work('a', began)
    const second = work('b', began)
    const third = work('c', began)
    const running = [first, second].map((job) => queue.run(job.run, never))
    await turn()
    first.end()
    // In the same turn in which the place is handed over.
    await running[0]
    const late = queue.run(third.run, never)
    await turn()
    expect(began).toEqual(['a', 'b'])
    second.end()
    third.end()
    await late
    expect(began).toEqual(['a', 'b', 'c'])
  })

  it('gives the place on when work fails', async () => {
    const queue = new WorkQueue({ concurrency: 1, maxWaiting: 10 })
    const began: string[] = []
    const first = work('a', began)
    const second = work('b', began)
    const failed = queue.run(first.run, never)
    const next = queue.run(second.run, never)
    first.fail()
    await expect(failed).rejects.toThrow('a')
    second.end()
    expect(await next).toBe('b')
  })

  it('forgets who gave up waiting', async () => {
    const queue = new WorkQueue({ concurrency: 1, maxWaiting: 1 })
    const began: string[] = []
    const first = work('a', began)
    const second = work('b', began)
    const third = work('c', began)
    const running = queue.run(first.run, never)
    const impatient = new AbortController()
    const waiting = queue.run(second.run, impatient.signal)
    impatient.abort(new Error('gave up'))
    await expect(waiting).rejects.toThrow('gave up')
    const last = queue.run(third.run, never)
    first.end()
    third.end()
    await Promise.all([running, last])
    expect(began).toEqual(['a', 'c'])
  })

  it('gives out no more places than there are, also to many who come at once', () => {
    const queue = new WorkQueue({ concurrency: 1, maxWaiting: 1 })
    const tickets = [queue.admit(), queue.admit(), queue.admit()]
    expect(tickets.map((ticket) => ticket !== undefined)).toEqual([true, true, false])
    tickets[0]?.release()
    tickets[0]?.release()
    expect(queue.admit()).toBeDefined()
    expect(queue.admit()).toBeUndefined()
  })

  it('gives the place on when who got it has given up in the same moment', async () => {
    const queue = new WorkQueue({ concurrency: 1, maxWaiting: 10 })
    const began: string[] = []
    const first = work('a', began)
    const second = work('b', began)
    const third = work('c', began)
    const impatient = new AbortController()
    const done = first.run()
    // The last moment: it is the turn of the second, and its code has not gone on yet.
    const gaveUp = done.then(() => impatient.abort(new Error('gave up')))
    const running = queue.run(() => done, never)
    const refused = expect(queue.run(second.run, impatient.signal)).rejects.toThrow('gave up')
    const last = queue.run(third.run, never)
    first.end()
    third.end()
    await Promise.all([running, gaveUp, refused])
    expect(await last).toBe('c')
    expect(began).toEqual(['a', 'c'])
  })
})
