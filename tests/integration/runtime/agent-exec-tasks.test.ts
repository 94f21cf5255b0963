import { describe, expect, it } from 'vitest'
import { userMessage } from '../../support/agent-runtime.ts'
import {
  ask,
  closeAfterEachTest,
  failureOf,
  jobProcesses,
  type Parts,
  release,
  runtime,
  whenReleased,
  withScript,
} from '../../support/command-agent.ts'
import { eventually } from '../../support/eventually.ts'

closeAfterEachTest()

describe('a task of a command', () => {
  const slow = `
    process.on('SIGTERM', () => {})
    require('node:child_process').spawn('sleep', ['300'])
    console.log('started'); setInterval(() => {}, 1000)`

  /** Starts a streaming call and resolves with its task when the command has said something. */
  async function startTask() {
    const events = runtime.stream('message/stream', userMessage('x'))
    let taskId = ''
    for (;;) {
      const { value, done } = await events.next()
      if (done === true) throw new Error('the stream ended')
      const result = value['result'] as { kind: string; id?: string }
      if (result.kind === 'task') taskId = result.id ?? ''
      if (result.kind === 'artifact-update') return { taskId, events }
    }
  }

  const stateOf = async (id: string) => {
    const { result } = await runtime.call('tasks/get', { id })
    return (result as { status: { state: string } }).status.state
  }

  it('shows output while it runs, and the files at the end', async () => {
    await withScript(`
      console.log('one')
      ${whenReleased(`console.log('two'); require('node:fs').writeFileSync('output/f.txt', 'f')`)}`)
    const parts: Parts = []
    for await (const { result } of runtime.stream('message/stream', userMessage('x'))) {
      const { artifact } = result as { artifact?: { parts: Parts } }
      parts.push(...(artifact?.parts ?? []))
      if (parts.length > 0) release()
    }
    const texts = parts.flatMap(({ text }) => text ?? [])
    expect(texts.length).toBeGreaterThan(1)
    expect(texts.join('')).toBe('one\ntwo')
    expect(parts.at(-1)).toMatchObject({ kind: 'file', file: { name: 'f.txt' } })
  })

  it('tells a stream of 0.3 the whole reply once more at its end', async () => {
    await withScript(`
      console.log('one')
      ${whenReleased(`console.log('two'); require('node:fs').writeFileSync('output/f.txt', 'f')`)}`)
    const events: { kind: string; final?: boolean; status?: { message?: { parts: Parts } } }[] = []
    for await (const { result } of runtime.stream('message/stream', userMessage('x'))) {
      const event = result as (typeof events)[number]
      events.push(event)
      if (event.kind === 'artifact-update') release()
    }
    const last = events.at(-1)
    expect(last).toMatchObject({
      kind: 'status-update',
      final: true,
      status: { state: 'completed' },
    })
    expect(last?.status?.message).toMatchObject({
      kind: 'message',
      role: 'agent',
      parts: [{ text: 'one\ntwo' }, { kind: 'file', file: { name: 'f.txt' } }],
    })
    expect(events.filter(({ kind }) => kind === 'message')).toEqual([])
  })

  it('tells what it is about, results beside the reply, and that it has a question', async () => {
    await withScript(`
      const say = (event) => require('node:fs').writeSync(3, JSON.stringify(event) + '\\n')
      say({ progress: 'looking' })
      require('node:fs').writeSync(3, 'garbage\\n{"other":1}\\n')
      say({ artifact: { id: 'table', text: 'a', name: 'A table' } })
      say({ artifact: { id: 'table', data: { rows: 2 }, append: true, last: true } })
      console.log('reply')
      require('node:fs').writeSync(3, JSON.stringify({ input_required: 'which one?' }))`)
    const seen: string[] = []
    for await (const { result } of runtime.stream('message/stream', userMessage('x'))) {
      seen.push(JSON.stringify(result))
    }
    const at = (text: string) => seen.findIndex((event) => event.includes(text))
    expect(at('"looking"')).toBeGreaterThan(0)
    expect(at('"rows":2')).toBeGreaterThan(at('"A table"'))
    expect(seen.at(-1)).toMatch(/"state":"input-required".*|.*which one\?/)
    const { result } = await runtime.call('message/send', userMessage('x'))
    expect(result).toMatchObject({
      kind: 'task',
      status: { state: 'input-required', message: { parts: [{ text: 'which one?' }] } },
      artifacts: [
        { artifactId: 'reply', parts: [{ text: 'reply' }] },
        { artifactId: 'table', parts: [{ text: 'a' }, { data: { rows: 2 } }] },
      ],
    })
    const more = userMessage('this one', [], { taskId: result?.['id'] })
    expect((await runtime.call('message/send', more)).result).toMatchObject({
      id: result?.['id'],
      status: { state: 'input-required' },
    })
  })

  it('is canceled with its whole process group, even when that ignores SIGTERM', async () => {
    await withScript(slow)
    const { taskId, events } = await startTask()
    expect(jobProcesses().length).toBeGreaterThanOrEqual(2)
    const { result } = await runtime.call('tasks/cancel', { id: taskId })
    expect(result).toMatchObject({ status: { state: 'canceled' } })
    expect(jobProcesses()).toEqual([])
    const states: unknown[] = []
    for await (const { result: last } of events)
      states.push((last as { status: { state: string } }).status.state)
    expect(states).toEqual(['canceled'])
    expect(runtime.jobFolders()).toEqual([])
    expect(runtime.plane.meter.report()).toMatchObject({ errors: 0, activeTasks: 0 })
  })

  it('goes on when its client goes away, and can be asked for afterwards', async () => {
    await withScript(`console.log('one'); ${whenReleased(`console.log('two')`)}`)
    const { taskId, events } = await startTask()
    await events.return(undefined)
    expect(await stateOf(taskId)).toBe('working')
    release()
    await eventually(async () => (await stateOf(taskId)) === 'completed')
    const { result } = await runtime.call('tasks/get', { id: taskId })
    const { artifacts } = result as { artifacts: { parts: { text: string }[] }[] }
    expect(artifacts[0]?.parts.map((part) => part.text).join('')).toBe('one\ntwo')
  })

  it('takes no second message while it is worked on, and keeps its answer', async () => {
    await withScript(`console.log('one'); ${whenReleased(`console.log('two')`)}`)
    const { taskId, events } = await startTask()
    const { message } = userMessage('more', [], { taskId })
    const modern = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'more' }], taskId }
    for (const refused of [
      await runtime.call('message/send', { message, configuration: { blocking: false } }),
      await runtime.call('message/stream', { message }),
      await runtime.call('SendMessage', { message: modern }),
    ]) {
      expect(refused.error?.code).toBe(-32004)
    }
    expect(await stateOf(taskId)).toBe('working')
    release()
    for await (const _ of events) {
      // To the end.
    }
    const { result } = await runtime.call('tasks/get', { id: taskId })
    const { artifacts } = result as { artifacts: { parts: Parts }[] }
    expect(artifacts[0]?.parts.map(({ text }) => text).join('')).toBe('one\ntwo')
    const late = await runtime.call('message/send', { message })
    expect(late.error?.code).toBe(-32004)
  })

  it('can be followed again by who lost the stream', async () => {
    await withScript(`console.log('one'); ${whenReleased(`console.log('two')`)}`)
    const { taskId, events } = await startTask()
    await events.return(undefined)
    const kinds: string[] = []
    let text = ''
    for await (const { result } of runtime.stream('tasks/resubscribe', { id: taskId })) {
      const event = result as {
        kind: string
        artifact?: { parts: Parts }
        artifacts?: { parts: Parts }[]
      }
      kinds.push(event.kind)
      release()
      const parts = event.artifact?.parts ?? event.artifacts?.[0]?.parts ?? []
      text += parts.map((part) => part.text).join('')
    }
    expect([kinds[0], kinds.at(-1), text]).toEqual(['task', 'status-update', 'one\ntwo'])
  })

  it('waits for its turn, in order, and can be canceled while it waits', async () => {
    await withScript(`
      process.stdin.on('data', (text) => { ${whenReleased('console.log(String(text))')} })`)
    const order: string[] = []
    const finish = async (text: string) => {
      await ask(text)
      order.push(text)
    }
    const first = finish('first')
    await eventually(() => runtime.jobFolders().length === 1)
    const params = { ...userMessage('never'), configuration: { blocking: false } }
    const waiting = await runtime.call('message/send', params)
    const second = finish('second')
    await eventually(() => runtime.plane.meter.report().activeTasks === 3)
    expect(runtime.plane.meter.report().currentTask).toBe('first')
    expect(runtime.jobFolders()).toHaveLength(1)
    const id = waiting.result?.['id']
    expect(await stateOf(String(id))).toBe('submitted')
    const { result } = await runtime.call('tasks/cancel', { id })
    expect(result).toMatchObject({ status: { state: 'canceled' } })
    release()
    await Promise.all([first, second])
    expect(order).toEqual(['first', 'second'])
  })

  it('runs beside others when that is configured', async () => {
    await withScript(whenReleased(`console.log('ok')`), { concurrency: 2 })
    const both = [ask('a'), ask('b')]
    await eventually(() => runtime.jobFolders().length === 2)
    release()
    await Promise.all(both)
  })

  it('is turned away before anything of it exists when too many wait already', async () => {
    await withScript('setInterval(() => {}, 1000)', { max_waiting: 1 })
    const params = () => ({ ...userMessage('x'), configuration: { blocking: false } })
    // All at once: the places are given out before any of them is taken.
    const answers = await Promise.all(
      ['message/send', 'message/send', 'message/send', 'message/stream'].map((method) =>
        runtime.post(JSON.stringify({ jsonrpc: '2.0', id: method, method, params: params() })),
      ),
    )
    const refused = answers.filter(({ status }) => status === 503)
    expect(refused.length).toBe(2)
    for (const answer of refused) {
      expect(answer.headers.get('retry-after')).toBe('2')
      expect(await answer.json()).toMatchObject({
        jsonrpc: '2.0',
        id: expect.stringMatching(/^message/),
        error: { code: -32603, data: { code: 'agent_busy' } },
        code: 'agent_busy',
        retryable: true,
        retry_after: 2,
      })
    }
    const { result } = await runtime.call('ListTasks', {})
    expect(result).toMatchObject({ totalSize: 2 })
    expect(runtime.plane.meter.report().activeTasks).toBe(2)
  })

  it('leaves its place to others when it is refused after all', async () => {
    await withScript('setInterval(() => {}, 1000)', { max_waiting: 0 })
    const { message } = userMessage('x', [], { taskId: 'no-such-task' })
    for (let time = 0; time < 3; time += 1) {
      expect((await runtime.call('message/send', { message })).error?.code).toBe(-32001)
    }
    const params = { ...userMessage('x'), configuration: { blocking: false } }
    expect((await runtime.call('message/send', params)).status).toBe(200)
  })

  it('is not begun any more when the runtime is stopping', async () => {
    await withScript(slow)
    await runtime.plane.executor.stop()
    expect(await failureOf()).toBe('Agent error: the workspace is shutting down')
    expect(runtime.jobFolders()).toEqual([])
  })

  it('is ended when the runtime stops, and says so', async () => {
    await withScript(slow.replace(`process.on('SIGTERM', () => {})`, ''))
    const { taskId } = await startTask()
    await runtime.plane.stop()
    expect(jobProcesses()).toEqual([])
    expect(await stateOf(taskId)).toBe('failed')
  })
})
