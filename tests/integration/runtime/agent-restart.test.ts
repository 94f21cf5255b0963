import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { userMessage } from '../../support/agent-runtime.ts'
import { eventually } from '../../support/eventually.ts'
import { type RestartableRuntime, restartableRuntime } from '../../support/restartable-runtime.ts'

let runtime: RestartableRuntime

beforeEach(() => {
  runtime = restartableRuntime()
})

afterEach(() => runtime.close())

/** Says what it was told; told to stay, it does, as long as its runtime is there, which may be over by now. */
const SCRIPT = `
  const text = require('node:fs').readFileSync(0, 'utf8')
  console.log(text)
  const parent = process.ppid
  const isLeft = () => parent === 1 || process.ppid !== parent
  if (text === 'stay') setInterval(() => isLeft() && process.exit(), 20)`

const later = (text: string) => ({ ...userMessage(text), configuration: { blocking: false } })

const delivery = (id: string) => ({ 'x-atrium-delivery-id': id.replace('message/', 'legacy-') })

const paramsOf = (method: string) =>
  method === 'SendMessage'
    ? { message: { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'stay' }] } }
    : userMessage('stay')

const taskOf = async (id: unknown) => (await runtime.call('tasks/get', { id })).result

describe('a runtime that was killed', () => {
  it('knows every task afterwards: the end of one, and that another has none', async () => {
    await runtime.start({ command: SCRIPT, concurrency: 8 })
    const done = String((await runtime.call('message/send', later('hello'))).result?.['id'])
    await eventually(async () => JSON.stringify(await taskOf(done)).includes('"completed"'))
    const before = await taskOf(done)
    const broken = String((await runtime.call('message/send', later('stay'))).result?.['id'])
    const file = join(runtime.folders.configs, '.atrium', 'tasks', `${broken}.json`)
    await eventually(() => readFileSync(file, 'utf8').includes('"reply"'))
    const ended = await runtime.call('message/send', userMessage('once'), delivery('ended'))
    const cutOff = ['message/send', 'SendMessage', 'message/stream'].map((method) =>
      runtime.post(method, paramsOf(method), delivery(method)).catch(() => undefined),
    )
    const folder = join(runtime.folders.configs, '.atrium', 'deliveries')
    const written = () => readdirSync(folder).filter((name) => name.endsWith('.json'))
    await eventually(() => written().length === 4)
    await runtime.kill()
    await Promise.all(cutOff)
    await runtime.start({ command: SCRIPT, concurrency: 8 })

    expect(await taskOf(done)).toEqual(before)
    const task = await taskOf(broken)
    expect(task).toMatchObject({
      status: { state: 'failed' },
      artifacts: [{ parts: [{ text: 'stay' }] }],
      history: [{ parts: [{ text: 'stay' }] }, {}],
    })
    expect(JSON.stringify(task)).toContain('the workspace was restarted while it worked on this')
    expect((await runtime.call('tasks/cancel', { id: broken })).error?.code).toBe(-32002)
    const list = await runtime.call('ListTasks', {})
    expect(list.result).toMatchObject({ totalSize: 5 })
    expect(existsSync(file)).toBe(true)

    const again = await runtime.call('message/send', userMessage('never'), delivery('ended'))
    expect(again.result).toEqual(ended.result)
    const failed = /workspace was restarted while it worked on this/
    const legacy = await runtime.call('message/send', paramsOf(''), delivery('message/send'))
    expect(legacy.result).toMatchObject({
      kind: 'message',
      parts: [{ text: expect.stringMatching(failed) }],
    })
    const modern = await runtime.call(
      'SendMessage',
      paramsOf('SendMessage'),
      delivery('SendMessage'),
    )
    expect(modern.result).toMatchObject({ task: { status: { state: 'TASK_STATE_FAILED' } } })
    const stream = await runtime.post('message/stream', paramsOf(''), delivery('message/stream'))
    expect(await stream.text()).toMatch(failed)
    // Nothing was begun again: the script would never end.
    expect(runtime.jobFolders()).toEqual([])
  })
})
