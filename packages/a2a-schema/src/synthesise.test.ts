import { describe, expect, it } from 'vitest'
import {
  type SyntheticTask,
  syntheticResult,
  syntheticTask,
  taskFromMessage,
} from './synthesise.ts'

const TASK: SyntheticTask = {
  taskId: 'q-1',
  contextId: 'c-1',
  state: 'TASK_STATE_SUBMITTED',
  at: new Date('2026-01-02T03:04:05.678Z'),
  metadata: { queue_id: 'q-1' },
}
const FAILED = { ...TASK, state: 'TASK_STATE_FAILED', explanation: 'expired' } as const

describe('a task of the gateway', () => {
  it('is a task of 0.3', () => {
    expect(syntheticTask(TASK, '0.3')).toEqual({
      kind: 'task',
      id: 'q-1',
      contextId: 'c-1',
      status: { state: 'submitted', timestamp: '2026-01-02T03:04:05.678Z' },
      metadata: { queue_id: 'q-1' },
    })
  })

  it('is a task of 1.0, wrapped where 1.0 wraps it', () => {
    const task = {
      id: 'q-1',
      contextId: 'c-1',
      status: { state: 'TASK_STATE_SUBMITTED', timestamp: '2026-01-02T03:04:05.678Z' },
      metadata: { queue_id: 'q-1' },
    }
    expect(syntheticTask(TASK, '1.0')).toEqual(task)
    expect(syntheticResult(TASK, '1.0')).toEqual({ task })
  })

  it('is a task of 0.1', () => {
    expect(syntheticResult(TASK, '0.1')).toMatchObject({
      id: 'q-1',
      sessionId: 'c-1',
      status: { state: 'submitted' },
    })
  })

  it('says why it is over', () => {
    expect(syntheticTask(FAILED, '0.3')).toMatchObject({
      status: {
        state: 'failed',
        message: {
          kind: 'message',
          role: 'agent',
          taskId: 'q-1',
          contextId: 'c-1',
          parts: [{ kind: 'text', text: 'expired' }],
        },
      },
    })
  })

  it('says so twice in the same message', () => {
    expect(syntheticTask(FAILED, '1.0')).toEqual(syntheticTask({ ...FAILED }, '1.0'))
  })

  it('is complete with the message that an agent answered instead of a task', () => {
    const message = {
      kind: 'message',
      messageId: 'm',
      role: 'agent',
      parts: [{ kind: 'text', text: 'hi' }],
    }
    expect(taskFromMessage(message, TASK, '1.0')).toEqual({
      id: 'q-1',
      contextId: 'c-1',
      status: {
        state: 'TASK_STATE_COMPLETED',
        message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'hi' }] },
        timestamp: '2026-01-02T03:04:05.678Z',
      },
      metadata: { queue_id: 'q-1' },
    })
    expect(taskFromMessage(message, TASK, '0.3')).toMatchObject({ status: { message } })
  })
})
