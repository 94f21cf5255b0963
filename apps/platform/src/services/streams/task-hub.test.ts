import { randomUUID } from 'node:crypto'
import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { HeldClock } from '../../../../../tests/support/held-clock.ts'
import { workspaceIdSchema } from '../../domain/ids.ts'
import { MAX_QUEUED_EVENTS, StreamReader } from './stream-reader.ts'
import { TaskHub } from './task-hub.ts'

const clock = new HeldClock()

function newHub(): TaskHub {
  const key = { workspaceId: workspaceIdSchema.parse(randomUUID()), taskId: 't' }
  return new TaskHub(
    { clock, log: pino({ level: 'silent' }), append: async () => 'kept' },
    { key, dialect: '0.3', claim: { fence: '1', lastSeq: 0 } },
  )
}

/** Tells so many events; `isDone` once all of them are told. */
function publish(hub: TaskHub, count: number) {
  let isDone = false
  const all = (async () => {
    for (let told = 0; told < count; told += 1) await hub.publish(Buffer.from('{}'))
    isDone = true
  })()
  return { all, isDone: () => isDone }
}

/** Until what is told has nowhere to go. */
async function untilHeld(): Promise<void> {
  while (clock.sleepers === 0) await new Promise(setImmediate)
}

describe('a reader that is alone', () => {
  it('holds the agent back while it takes something now and then', async () => {
    const hub = newHub()
    const events = hub.read()[Symbol.asyncIterator]()
    const told = publish(hub, MAX_QUEUED_EVENTS + 3)
    for (let taken = 0; taken < 3; taken += 1) {
      await untilHeld()
      clock.advance(59_000)
      expect((await events.next()).value?.seq).toBe(taken + 1)
    }
    await told.all
  })

  it('that takes nothing is let go, and the task goes on', async () => {
    const hub = newHub()
    const events = hub.read()[Symbol.asyncIterator]()
    const told = publish(hub, 1_000)
    await untilHeld()
    expect(told.isDone()).toBe(false)
    clock.advance(60_000)
    await told.all
    await expect(events.next()).rejects.toMatchObject({ code: 'stream_overflow' })
  })

  it('is so again when another has left', async () => {
    const hub = newHub()
    const gone = new StreamReader()
    hub.join(gone)
    gone.close()
    const events = hub.read()[Symbol.asyncIterator]()
    const told = publish(hub, MAX_QUEUED_EVENTS + 1)
    await untilHeld()
    expect((await events.next()).value?.seq).toBe(1)
    await told.all
  })

  it('is not any more when another comes', async () => {
    const hub = newHub()
    hub.read()
    const told = publish(hub, 1_000)
    await untilHeld()
    const late = hub.read()
    const news = (async () => {
      let count = 0
      for await (const _ of late) count += 1
      return count
    })()
    await told.all
    await hub.end()
    expect(await news).toBeGreaterThan(700)
  })
})
