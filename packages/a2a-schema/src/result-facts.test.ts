import { describe, expect, it } from 'vitest'
import type { JsonValue } from './lossless-json.ts'
import { factsOf, readResult } from './result-facts.ts'

const STATUS = { state: 'working' }
const task = { id: 't', contextId: 'c', status: STATUS }
const message = { messageId: 'm', role: 'agent', parts: [], taskId: 't' }
const status = { taskId: 't', contextId: 'c', status: STATUS }
const artifact = { taskId: 't', contextId: 'c', artifact: { artifactId: 'a', parts: [] } }

describe('readResult', () => {
  it.each<readonly [string, string, JsonValue]>([
    ['of 0.3', 'task', { kind: 'task', ...task }],
    ['of 0.3', 'message', { kind: 'message', ...message }],
    ['of 0.3', 'status', { kind: 'status-update', ...status }],
    ['of 0.3', 'artifact', { kind: 'artifact-update', ...artifact }],
    ['of 1.0', 'task', { task }],
    ['of 1.0', 'message', { message }],
    ['of 1.0', 'status', { statusUpdate: status }],
    ['of 1.0', 'artifact', { artifactUpdate: artifact }],
    ['of the REST binding of 0.3', 'message', { msg: message }],
    ['without any name', 'task', task],
    ['without any name', 'message', message],
    ['without any name', 'status', status],
    ['without any name', 'artifact', artifact],
  ])('reads a result %s: %s', (_of, kind, result) => {
    expect(readResult(result)?.kind).toBe(kind)
  })

  it.each<JsonValue | undefined>([
    undefined,
    null,
    'task',
    7,
    [],
    [task],
    {},
    { kind: 'task-list' },
    { task: 'done' },
    { status: 'queued', delivery_mode: 'poll' },
    { id: 't' },
  ])('reads nothing in %j', (result) => {
    expect(readResult(result)).toBeUndefined()
  })

  it('believes the kind before a member that happens to be called like a wrapper', () => {
    expect(readResult({ kind: 'message', ...message, task: { id: 'x' } })?.kind).toBe('message')
  })
})

describe('factsOf', () => {
  it.each<readonly [JsonValue, string | undefined, boolean]>([
    [{ kind: 'status-update', ...status, final: false }, 'TASK_STATE_WORKING', false],
    [{ kind: 'status-update', ...status, final: true }, 'TASK_STATE_WORKING', true],
    [
      { statusUpdate: { ...status, status: { state: 'TASK_STATE_FAILED' } } },
      'TASK_STATE_FAILED',
      true,
    ],
    [{ statusUpdate: { ...status, status: { state: 4 } } }, 'TASK_STATE_FAILED', true],
    [{ task: { ...task, status: { state: 'TASK_STATE_CANCELLED' } } }, 'TASK_STATE_CANCELED', true],
    [
      { kind: 'task', ...task, status: { state: 'input-required' } },
      'TASK_STATE_INPUT_REQUIRED',
      true,
    ],
    [
      { kind: 'task', ...task, status: { state: 'auth-required' } },
      'TASK_STATE_AUTH_REQUIRED',
      true,
    ],
    [{ kind: 'task', ...task, status: { state: 'paused' } }, undefined, false],
    [{ kind: 'task', ...task, final: true }, 'TASK_STATE_WORKING', false],
    [{ artifactUpdate: { ...artifact, lastChunk: true } }, undefined, false],
    [{ message }, undefined, true],
  ])('says the state and whether a stream is complete: %j', (event, state, isFinal) => {
    expect(factsOf(event)).toMatchObject({ taskId: 't', isFinal })
    expect(factsOf(event)?.state).toBe(state)
  })

  it('takes an empty id for none', () => {
    const facts = factsOf({ message: { ...message, taskId: '', contextId: '' } })
    expect(facts).toMatchObject({ taskId: undefined, contextId: undefined })
  })

  it('reads the session of 0.1 as the context', () => {
    expect(factsOf({ id: 't', sessionId: 's', status: STATUS })).toMatchObject({ contextId: 's' })
  })
})
