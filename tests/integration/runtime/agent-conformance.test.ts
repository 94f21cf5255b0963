import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AgentRuntime, startAgentRuntime } from '../../support/agent-runtime.ts'
import { eventually } from '../../support/eventually.ts'

let runtime: AgentRuntime

beforeAll(async () => {
  const config = JSON.stringify({ runtime: 'conformance', runtime_config: { concurrency: 32 } })
  runtime = await startAgentRuntime({ config })
})

afterAll(() => runtime.close())

const params = (messageId: string, text = 'x', extra: object = {}) => ({
  message: { messageId, role: 'ROLE_USER', parts: [{ text }], ...extra },
})

const send = async (messageId: string, text?: string, extra?: object) =>
  (await runtime.call('SendMessage', params(messageId, text, extra))).result

const DONE = 'TASK_STATE_COMPLETED'
const task = (state: string, parts?: readonly object[]) => ({
  task: { status: { state }, ...(parts === undefined ? {} : { artifacts: [{ parts }] }) },
})
const url = 'https://example.com/output.txt'
const raw = Buffer.from('tck').toString('base64')

describe('the conformance agent', () => {
  it.each([
    ['tck-complete-task-1', task(DONE)],
    ['tck-artifact-text-1', task(DONE, [{ text: 'Generated text content' }])],
    ['tck-artifact-file-1', task(DONE, [{ raw, filename: 'output.txt', mediaType: 'text/plain' }])],
    ['tck-artifact-file-url-1', task(DONE, [{ url, filename: 'output.txt' }])],
    ['tck-artifact-data-1', task(DONE, [{ data: { key: 'value', count: 42 } }])],
    ['tck-message-response-1', { message: { parts: [{ text: 'Direct message response' }] } }],
    ['tck-input-required-1', task('TASK_STATE_INPUT_REQUIRED')],
    ['tck-auth-required-1', task('TASK_STATE_AUTH_REQUIRED')],
    ['tck-reject-task-1', task('TASK_STATE_REJECTED')],
    ['tck-task-failure-1', task('TASK_STATE_FAILED')],
    ['tck-stream-artifact-chunked-1', task(DONE, [{ text: 'chunk-1 ' }, { text: 'chunk-2' }])],
    ['tck-of-the-future', task(DONE)],
  ])('does what the id %s asks for', async (messageId, expected) => {
    expect(await send(messageId)).toMatchObject(expected)
  })

  it('does what the text asks for when the id does not say', async () => {
    const result = await send(crypto.randomUUID(), 'tck-artifact-data please')
    expect(result).toMatchObject(task(DONE, [{ data: { count: 42 } }]))
  })

  it('streams a task, its work, its result in order, and a message alone', async () => {
    const kinds = async (id: string) => {
      const events: string[] = []
      for await (const { result } of runtime.stream('SendStreamingMessage', params(id))) {
        events.push(...Object.keys(result as object))
      }
      return events
    }
    expect(await kinds('tck-stream-ordering-001-1')).toEqual([
      ...['task', 'statusUpdate', 'artifactUpdate', 'statusUpdate'],
    ])
    expect(await kinds('tck-message-response-2')).toEqual(['message'])
  })

  it('goes on with a task until its user has done', async () => {
    const first = await send(crypto.randomUUID(), 'tck-multi-turn')
    const { id: taskId } = (first as { task: { id: string } }).task
    expect(first).toMatchObject(task('TASK_STATE_INPUT_REQUIRED'))
    const second = await send(crypto.randomUUID(), 'more', { taskId })
    expect(second).toMatchObject({
      task: { id: taskId, status: { state: 'TASK_STATE_INPUT_REQUIRED' } },
    })
    const last = await send(crypto.randomUUID(), 'done', { taskId })
    expect(last).toMatchObject({ task: { id: taskId, status: { state: DONE } } })
  })

  it('works without a name, tells that it does, and can be canceled', async () => {
    const configuration = { returnImmediately: true }
    for (const id of [crypto.randomUUID(), 'tck-cancel-1', 'test-resubscribe-message-id-1']) {
      const { result } = await runtime.call('SendMessage', { ...params(id), configuration })
      const taskId = (result as { task: { id: string } }).task.id
      const stateOf = async () =>
        JSON.stringify((await runtime.call('GetTask', { id: taskId })).result)
      await eventually(async () => (await stateOf()).includes('TASK_STATE_WORKING'))
      const canceled = await runtime.call('CancelTask', { id: taskId })
      expect(canceled.result).toMatchObject({ status: { state: 'TASK_STATE_CANCELED' } })
    }
  })
})
