import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, type TestContext } from 'vitest'
import { CARD, type Rpc, userMessage } from '../../support/agent-runtime.ts'
import {
  closeAfterEachTest,
  release,
  runtime,
  whenReleased,
  withScript,
} from '../../support/command-agent.ts'
import { eventually } from '../../support/eventually.ts'

closeAfterEachTest()

/** Counts its runs in a file, and answers with the number. */
const COUNTS = `
  const fs = require('node:fs'), file = process.env.ATRIUM_WORKSPACE_DIR + '/runs'
  fs.appendFileSync(file, 'x')
  const number = fs.readFileSync(file, 'utf8').length`
const AT_ONCE = `${COUNTS}; console.log('run ' + number)`
const WHEN_RELEASED = `${COUNTS}; console.log('run ' + number); ${whenReleased(`console.log('end')`)}`

const runs = () => readFileSync(join(runtime.folders.workspace, 'runs'), 'utf8').length

const delivery = (id: string) => ({ 'x-atrium-delivery-id': id.replace('message/', 'legacy-') })

const modern = (text: string) => ({
  message: { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text }] },
})

/** Everything that a streaming call is told. */
async function streamed(method: string, params: object, id: string): Promise<unknown[]> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 's-1', method, params })
  const text = await (await runtime.post(body, delivery(id))).text()
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '').result)
}

describe('a delivery', () => {
  it('is promised in the card, in every shape of it', async () => {
    await withScript(AT_ONCE)
    for (const version of ['', '0.3', '1.0']) {
      const answer = await fetch(runtime.url + CARD, { headers: { 'a2a-version': version } })
      expect(await answer.json()).toMatchObject({
        capabilities: { extensions: [{ uri: 'urn:atrium:a2a:delivery-id:v1' }] },
      })
    }
  })

  it('is done once, and answered the same whenever it comes again', async () => {
    await withScript(AT_ONCE)
    for (const [method, params] of [
      ['message/send', userMessage('x')],
      ['SendMessage', modern('x')],
    ] as const) {
      const first = await runtime.call(method, params, delivery(method))
      expect(JSON.stringify(first.result)).toMatch(/run \d/)
      const body = JSON.stringify({ jsonrpc: '2.0', id: 12, method, params })
      const again = await (await runtime.post(body, delivery(method))).json()
      expect(again).toEqual({ jsonrpc: '2.0', id: 12, result: first.result })
    }
    expect(runs()).toBe(2)
    await runtime.call('message/send', userMessage('x'), delivery('another'))
    await runtime.call('message/send', userMessage('x'))
    expect(runs()).toBe(4)
  })

  it('is done once also when it comes many times at once', async () => {
    await withScript(WHEN_RELEASED, { concurrency: 5 })
    const params = userMessage('x')
    const send = () => runtime.call('message/send', params, delivery('d-1'))
    const answers: Promise<Rpc>[] = [send(), send(), send()]
    await eventually(() => runtime.jobFolders().length > 0)
    answers.push(send())
    release()
    const results = (await Promise.all(answers)).map(({ result }) => JSON.stringify(result))
    expect(new Set(results).size).toBe(1)
    expect(runs()).toBe(1)
  })

  it('that is a stream is followed while it runs, and told as a task afterwards', async () => {
    await withScript(WHEN_RELEASED, { concurrency: 5 })
    for (const [method, params, done] of [
      ['message/stream', userMessage('x'), 'completed'],
      ['SendStreamingMessage', modern('x'), 'TASK_STATE_COMPLETED'],
    ] as const) {
      const first = streamed(method, params, method)
      await eventually(() => runtime.jobFolders().length === 1)
      const second = streamed(method, params, method)
      await eventually(() => runtime.plane.meter.report().activeTasks === 1)
      release()
      for (const events of [await first, await second]) {
        expect(JSON.stringify(events.at(-1))).toContain(done)
      }
      const third = await streamed(method, params, method)
      expect(third).toHaveLength(1)
      expect(JSON.stringify(third)).toMatch(/run \d[\s\S]*end/)
      rmSync(join(runtime.folders.workspace, 'released'))
    }
    expect(runs()).toBe(2)
  })

  it('that the agent never got is no delivery yet', async () => {
    await withScript(AT_ONCE)
    const { message } = userMessage('x', [], { taskId: 'no-such-task' })
    const refused = await runtime.call('message/send', { message }, delivery('d-1'))
    expect(refused.error?.code).toBe(-32001)
    const { result } = await runtime.call('message/send', userMessage('x'), delivery('d-1'))
    expect(result).toMatchObject({ parts: [{ text: 'run 1' }] })
  })

  it('cannot be another call, nor have any name', async () => {
    await withScript(AT_ONCE)
    await runtime.call('message/send', userMessage('x'), delivery('d-1'))
    const other = await runtime.call('SendMessage', modern('x'), delivery('d-1'))
    expect(other.error?.code).toBe(-32600)
    const odd = await runtime.call('message/send', userMessage('x'), delivery('../etc'))
    expect(odd.error?.code).toBe(-32600)
    expect(runs()).toBe(1)
  })

  it('is not begun where that cannot be written down', async () => {
    await withScript(AT_ONCE)
    const folder = join(runtime.folders.configs, '.atrium', 'deliveries')
    rmSync(folder, { recursive: true })
    writeFileSync(folder, '')
    for (const method of ['message/send', 'message/stream']) {
      const params = userMessage('x')
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
      const refused = await runtime.post(body, delivery('d-1'))
      expect([refused.status, await refused.json()]).toMatchObject([
        503,
        { code: 'agent_busy', reason: 'storage_failed', retry_after: 30 },
      ])
    }
    expect(readdirSync(runtime.folders.workspace)).not.toContain('runs')
    expect(readFileSync(runtime.logFile, 'utf8')).toContain('deliveries.not_begun')
    expect(runtime.plane.meter.report().activeTasks).toBe(0)
  })

  it('is not begun on a full disk, which is told, and is once there is room', async (context) => {
    await withScript(AT_ONCE)
    const folder = join(runtime.folders.configs, '.atrium', 'deliveries')
    if (!hasMounted(folder)) return leftOut(context)
    try {
      const filling = join(folder, 'filling')
      expect(() => writeFileSync(filling, Buffer.alloc(1_000_000))).toThrow('ENOSPC')
      const body = JSON.stringify({
        ...{ jsonrpc: '2.0', id: 1, method: 'message/send', params: userMessage('x') },
      })
      const refused = await runtime.post(body, delivery('d-1'))
      expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toEqual([
        503,
        '30',
        expect.objectContaining({ code: 'agent_busy', reason: 'insufficient_storage' }),
      ])
      expect(readFileSync(runtime.logFile, 'utf8')).toMatch(/ENOSPC.*deliveries.not_begun/)
      rmSync(filling)
      expect(await (await runtime.post(body, delivery('d-1'))).text()).toContain('run 1')
    } finally {
      spawnSync('umount', [folder])
    }
  })
})

/** A disk of its own, and a small one; only where whoever runs this may mount. */
function hasMounted(folder: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).status === 0
}

/** In CI what is missing is a failure, as for engines and sandboxes. */
function leftOut(context: TestContext): void {
  if (process.env['ATRIUM_REQUIRE_ENGINES'] === '1') throw new Error('no tmpfs can be mounted here')
  context.skip('no tmpfs can be mounted here')
}
