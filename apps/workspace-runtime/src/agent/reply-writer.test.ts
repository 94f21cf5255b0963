import { TaskState } from '@a2a-js/sdk'
import { type AgentExecutionEvent, DefaultExecutionEventBus } from '@a2a-js/sdk/server'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { describe, expect, it } from 'vitest'
import { MessageReplyWriter, TaskReplyWriter, type WriterInput } from './reply-writer.ts'

/** What was published in the end. */
function heard(use: (input: WriterInput) => void): readonly AgentExecutionEvent[] {
  const bus = new DefaultExecutionEventBus()
  const events: AgentExecutionEvent[] = []
  bus.on('event', (event) => events.push(event))
  const deps = { clock: systemClock, ids: systemIds }
  use({ deps, bus, ids: { taskId: 't', contextId: 'c' } })
  return events
}

/** By a writer for a caller that waits. */
const published = (failsWith: 'message' | 'task', use: (writer: MessageReplyWriter) => void) =>
  heard((input) => use(new MessageReplyWriter({ ...input, failsWith })))

/** By a writer for a caller that streams, of 0.3. */
const streamed = (use: (writer: TaskReplyWriter) => void) =>
  heard((input) => use(new TaskReplyWriter({ ...input, endsWithMessage: true })))

describe('MessageReplyWriter', () => {
  const half = (state: TaskState.TASK_STATE_FAILED | TaskState.TASK_STATE_CANCELED) => {
    return (writer: MessageReplyWriter): void => {
      writer.text('half')
      writer.abandon(state, 'why')
    }
  }

  it('tells a failure in a message where that is what the caller reads', () => {
    const events = published('message', half(TaskState.TASK_STATE_FAILED))
    expect(events).toMatchObject([
      {
        kind: 'message',
        data: { parts: [{ content: { value: 'why' } }, { content: { value: 'half' } }] },
      },
    ])
  })

  it('tells a failure as a failed task otherwise, and what was said before with it', () => {
    const events = published('task', half(TaskState.TASK_STATE_FAILED))
    expect(events.map(({ kind }) => kind)).toEqual(['task', 'statusUpdate'])
    expect(JSON.stringify(events)).toContain('half')
  })

  it('never tells what was canceled as if it were an answer', () => {
    for (const failsWith of ['message', 'task'] as const) {
      const events = published(failsWith, half(TaskState.TASK_STATE_CANCELED))
      expect(events.map(({ kind }) => kind)).toEqual(['task', 'statusUpdate'])
    }
  })
})

describe('TaskReplyWriter', () => {
  it('tells so much progress and no more', () => {
    const events = streamed((writer) => {
      for (let n = 0; n < 300; n += 1) writer.progress('on it')
    })
    expect(events).toHaveLength(200)
  })

  it('cuts a long text into pieces, and no character in two', () => {
    const events = streamed((writer) => writer.text(`${'x'.repeat(256 * 1024 - 1)}\u{1f600}y`))
    const pieces = events.flatMap((event) =>
      event.kind === 'artifactUpdate'
        ? (event.data.artifact?.parts ?? []).map(({ content }) => String(content?.value))
        : [],
    )
    expect(pieces.map((piece) => [piece.length, piece.isWellFormed()])).toEqual([
      [256 * 1024 - 1, true],
      [3, true],
    ])
  })

  it('says all of it once more at the end, unless that is too long for one event', () => {
    const end = (text: string) =>
      JSON.stringify(
        streamed((writer) => {
          writer.text(text)
          writer.complete()
        }).at(-1),
      )
    expect(end('short')).toContain('short')
    expect(end('x'.repeat(1024 * 1024 + 1))).not.toContain('xxx')
  })
})
