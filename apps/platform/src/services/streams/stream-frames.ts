/**
 * @module A flow of events as server-sent events for one reader: numbered where they can be asked for
 * again, with a comment after each silence, and with an error at the end where there is one, because
 * a stream that simply ends is taken for a success (contract/a2a 2.7).
 */
import { Readable } from 'node:stream'
import { type AppError, findAppError } from '@atrium/http-kit/app-error'
import {
  type AgentDialect,
  cursorText,
  type EventFlow,
  type StreamedEvent,
} from '../../domain/task-stream.ts'
import type { Heartbeats } from './heartbeats.ts'

const BEAT = Buffer.from(': hb\n\n')
const DATA = Buffer.from('data: ')
const END = Buffer.from('\n\n')

export type FrameOptions = {
  readonly flow: EventFlow
  readonly heartbeats: Heartbeats
  /** The reply as this reader is to read it; undefined leaves it out. */
  readonly render: (data: Buffer, dialect: AgentDialect) => Buffer | undefined
  /** The last reply of a stream that breaks off. */
  readonly renderFailure: (failure: AppError) => Buffer
  /** Told before the first event. */
  readonly before?: ((first: StreamedEvent) => Promise<Buffer | undefined>) | undefined
}

/** Must be consumed or destroyed; then the reader has left, and the task goes on. */
export function eventFrames(options: FrameOptions): Readable {
  const frames = withBeats(options)
  return new Readable({
    highWaterMark: 1,
    read() {
      frames.next().then(
        ({ done, value }) => this.push(done === true ? null : value),
        (error: unknown) => this.destroy(error instanceof Error ? error : new Error('broken')),
      )
    },
    // Not left to the generator, which would end with the next event only.
    destroy(error, done) {
      options.flow.close()
      done(error)
    },
  })
}

type Next = IteratorResult<Buffer, void> | 'beat'

/** One promise at a time, which the next frame or the next beat fulfils. */
async function* withBeats(options: FrameOptions): AsyncGenerator<Buffer> {
  const frames = framesOf(options)
  let turn = Promise.withResolvers<Next>()
  let isWaiting = false
  const pulse = options.heartbeats.register(() => {
    if (isWaiting) turn.resolve('beat')
  })
  const ask = (): void => {
    frames.next().then(
      (next) => turn.resolve(next),
      (error: unknown) => turn.reject(error),
    )
  }
  try {
    ask()
    for (;;) {
      isWaiting = true
      const next = await turn.promise
      isWaiting = false
      turn = Promise.withResolvers<Next>()
      if (next === 'beat') {
        yield BEAT
        continue
      }
      if (next.done === true) return
      yield next.value
      pulse.touch()
      ask()
    }
  } finally {
    pulse.close()
    options.flow.close()
    await frames.return()
  }
}

async function* framesOf(options: FrameOptions): AsyncGenerator<Buffer, void> {
  const { flow, render, renderFailure, before } = options
  let isFirst = true
  try {
    for await (const event of flow) {
      const preamble = isFirst ? await before?.(event) : undefined
      if (preamble !== undefined) yield frame(preamble)
      isFirst = false
      const data = render(event.data, event.dialect)
      if (data !== undefined) yield frame(data, event)
    }
  } catch (error) {
    const failure = findAppError(error)
    if (failure === undefined) throw error
    yield frame(renderFailure(failure))
  }
}

function frame(data: Buffer, event?: StreamedEvent): Buffer {
  if (event?.seq === undefined || event.taskId === undefined) {
    return Buffer.concat([DATA, data, END])
  }
  const id = Buffer.from(`id: ${cursorText(event.taskId, event.seq)}\n`)
  return Buffer.concat([id, DATA, data, END])
}
