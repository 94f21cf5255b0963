import { TaskState } from '@a2a-js/sdk'
import { type AgentExecutionEvent, DefaultExecutionEventBus } from '@a2a-js/sdk/server'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { describe, expect, it } from 'vitest'
import { MessageReplyWriter } from './reply-writer.ts'

/** What a writer for a caller that waits has published in the end. */
function published(
  failsWith: 'message' | 'task',
  use: (writer: MessageReplyWriter) => void,
): readonly AgentExecutionEvent[] {
  const bus = new DefaultExecutionEventBus()
  const events: AgentExecutionEvent[] = []
  bus.on('event', (event) => events.push(event))
  const deps = { clock: systemClock, ids: systemIds }
  use(new MessageReplyWriter({ deps, bus, ids: { taskId: 't', contextId: 'c' }, failsWith }))
  return events
}

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
