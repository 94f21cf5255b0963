import { describe, expect, it } from 'vitest'
import { Reply } from './reply.ts'

const file = (uri: string, name?: string) => ({
  kind: 'file',
  file: { uri, ...(name === undefined ? {} : { name }), mimeType: 'text/csv' },
})
const text = (value: string) => ({ kind: 'text', text: value })

describe('Reply', () => {
  it('takes a message with text and files', () => {
    const reply = new Reply()
    const added = reply.take({
      kind: 'message',
      role: 'agent',
      messageId: 'm',
      contextId: 'c1',
      parts: [text('done'), file('workspace:/workspace/a.csv', 'a.csv')],
    })
    expect(added).toEqual([{ text: 'done', isContinuation: false }])
    expect(reply.state).toBe('completed')
    expect(reply.isTerminal).toBe(true)
    expect(reply.contextId).toBe('c1')
    expect(reply.files).toEqual([
      { uri: 'workspace:/workspace/a.csv', name: 'a.csv', mimeType: 'text/csv' },
    ])
  })

  it('knows a message that says it failed, and keeps what came with it', () => {
    const reply = new Reply()
    const parts = [
      file('workspace:/workspace/a.csv'),
      text('Agent error: exit code 3'),
      text('half'),
    ]
    reply.take({ kind: 'message', parts })
    expect([reply.state, reply.isFailure, reply.files.length]).toEqual(['failed', true, 1])
    expect(reply.text).toBe('Agent error: exit code 3\nhalf')
  })

  it('does not take a word about an error for one', () => {
    const reply = new Reply()
    reply.take({ kind: 'message', parts: [text('No Agent error: all is well')] })
    expect(reply.isFailure).toBe(false)
  })

  it('finds files in artifacts and in the status message of a task, each once', () => {
    const reply = new Reply()
    reply.take({
      kind: 'task',
      id: 't1',
      contextId: 'c1',
      status: {
        state: 'completed',
        message: {
          kind: 'message',
          parts: [text('summary'), file('workspace:/workspace/a.csv', 'a.csv')],
        },
      },
      artifacts: [
        { artifactId: '1', parts: [file('workspace:/workspace/a.csv', 'a.csv')] },
        { artifactId: '2', parts: [file('workspace:/workspace/b.csv')] },
      ],
    })
    expect(reply.text).toBe('summary')
    expect(reply.taskId).toBe('t1')
    expect(reply.files.map((one) => one.uri)).toEqual([
      'workspace:/workspace/a.csv',
      'workspace:/workspace/b.csv',
    ])
  })

  it('joins streamed chunks and does not repeat the last message that says the same', () => {
    const reply = new Reply()
    const chunk = (value: string, append: boolean) => ({
      kind: 'artifact-update',
      taskId: 't1',
      append,
      artifact: { artifactId: 'a', parts: [text(value)] },
    })
    reply.take({ kind: 'task', id: 't1', status: { state: 'submitted' } })
    reply.take({
      kind: 'status-update',
      taskId: 't1',
      status: { state: 'working', message: { parts: [text('thinking')] } },
    })
    expect(reply.take(chunk('Hello ', false))).toEqual([{ text: 'Hello ', isContinuation: false }])
    expect(reply.take(chunk('world', true))).toEqual([{ text: 'world', isContinuation: true }])
    expect(reply.isSettled).toBe(false)
    const last = reply.take({
      kind: 'status-update',
      taskId: 't1',
      final: true,
      status: { state: 'completed', message: { parts: [text('Hello world')] } },
    })
    expect(last).toEqual([])
    expect(reply.text).toBe('Hello world')
    expect(reply.isSettled).toBe(true)
  })

  it('knows the states that are failures and the ones that wait for the user', () => {
    for (const state of ['failed', 'rejected', 'canceled']) {
      const reply = new Reply()
      reply.take({ kind: 'task', id: 't', status: { state } })
      expect([state, reply.isFailure, reply.isTerminal]).toEqual([state, true, true])
    }
    const waiting = new Reply()
    waiting.take({ kind: 'task', id: 't', status: { state: 'input-required' } })
    expect([waiting.isSettled, waiting.isTerminal, waiting.isFailure]).toEqual([true, false, false])
  })

  it('skips parts it does not understand and refuses a result that is none', () => {
    const reply = new Reply()
    reply.take({ kind: 'message', parts: [7, null, { kind: 'data', data: {} }, text('rest')] })
    expect(reply.text).toBe('rest')
    expect(reply.take({ status: 'queued' })).toBeUndefined()
    expect(reply.take(undefined)).toBeUndefined()
  })
})
