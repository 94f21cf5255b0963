import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { AppError } from '@atrium/http-kit/app-error'
import { describe, expect, it } from 'vitest'
import type { EventFlow, StreamedEvent } from '../../domain/task-stream.ts'
import { Heartbeats } from './heartbeats.ts'
import { eventFrames } from './stream-frames.ts'
import { StreamReader } from './stream-reader.ts'

const event = (seq: number | undefined, data: string): StreamedEvent => ({
  ...{ seq, taskId: 't', data: Buffer.from(data), dialect: '0.3' },
})

function framesOf(flow: EventFlow, heartbeats = new Heartbeats()) {
  return eventFrames({
    flow,
    heartbeats,
    render: (data) => Buffer.from(data.toString().toUpperCase()),
    renderFailure: ({ code }) => Buffer.from(code),
  })
}

describe('eventFrames', () => {
  it('numbers what can be asked for again', async () => {
    const reader = new StreamReader()
    for (const each of [event(7, 'a'), event(undefined, 'b')]) reader.offer(each)
    reader.end()
    expect(await text(framesOf(reader))).toBe('id: t:7\ndata: A\n\ndata: B\n\n')
  })

  it('ends with an error where the flow breaks off', async () => {
    const reader = new StreamReader()
    reader.offer(event(1, 'a'))
    reader.end(new AppError('stream_interrupted'))
    expect(await text(framesOf(reader))).toContain('data: stream_interrupted\n\n')
  })

  it('says in silence that it is there, once for each time somebody looks', async () => {
    let now = 0
    const beats = new Heartbeats(() => now)
    const turn = (): void => {
      now += 1_000
      beats.tick()
    }
    const reader = new StreamReader()
    const frames = framesOf(reader, beats)
    const iterator = frames[Symbol.asyncIterator]()
    const first = iterator.next()
    await Promise.resolve()
    for (let second = 0; second < 15; second += 1) turn()
    expect(String((await first).value)).toBe(': hb\n\n')
    // Nobody takes anything: beats do not pile up.
    for (let second = 0; second < 100; second += 1) turn()
    reader.offer(event(1, 'a'))
    reader.end()
    const rest: string[] = []
    for (;;) {
      const next = await iterator.next()
      if (next.done === true) break
      rest.push(String(next.value))
    }
    expect(rest.filter((each) => each.includes(': hb')).length).toBeLessThanOrEqual(2)
    expect(rest.join('')).toContain('id: t:1\ndata: A\n\n')
  })

  it('lets the flow go when its reader has left, also in silence', async () => {
    let hasClosed = false
    const reader = new StreamReader(() => {
      hasClosed = true
    })
    const frames = framesOf(reader)
    frames.resume()
    await Promise.resolve()
    frames.destroy()
    await once(frames, 'close')
    expect(hasClosed).toBe(true)
  })
})
