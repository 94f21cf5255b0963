import { existsSync, readFileSync } from 'node:fs'
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

/** Says what it was told; told to stay, it does. */
const SCRIPT = `
  const text = require('node:fs').readFileSync(0, 'utf8')
  console.log(text)
  if (text === 'stay') setInterval(() => {}, 1000)`

const later = (text: string) => ({ ...userMessage(text), configuration: { blocking: false } })

const taskOf = async (id: unknown) => (await runtime.call('tasks/get', { id })).result

describe('a runtime that was killed', () => {
  it('knows every task afterwards: the end of one, and that another has none', async () => {
    await runtime.start({ command: SCRIPT })
    const done = String((await runtime.call('message/send', later('hello'))).result?.['id'])
    await eventually(async () => JSON.stringify(await taskOf(done)).includes('"completed"'))
    const before = await taskOf(done)
    const broken = String((await runtime.call('message/send', later('stay'))).result?.['id'])
    const file = join(runtime.folders.configs, '.atrium', 'tasks', `${broken}.json`)
    await eventually(() => readFileSync(file, 'utf8').includes('"reply"'))
    await runtime.kill()
    await runtime.start({ command: SCRIPT })

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
    expect(list.result).toMatchObject({ totalSize: 2, tasks: [{ id: broken }, { id: done }] })
    expect(existsSync(file)).toBe(true)
  })
})
