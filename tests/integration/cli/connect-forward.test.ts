/** `atrium connect --forward`: an agent on this computer that speaks A2A itself. */
import { createServer } from 'node:http'
import { describe, expect, it } from 'vitest'
import {
  connectWith,
  gate,
  provideConnectScene,
  say,
  told,
  workspace,
} from '../../support/connect-scene.ts'
import { eventually } from '../../support/eventually.ts'
import { feed } from '../../support/external-workspace.ts'
import { localAgent } from '../../support/local-agent.ts'
import { sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()
provideConnectScene()

const PARTS = [{ kind: 'text', text: 'hello' }]

describe('atrium connect --forward', () => {
  it('passes messages on as they came, and brings text and files back', async () => {
    const file = { uri: 'https://example.org/r.pdf', name: 'r.pdf', mimeType: 'application/pdf' }
    const agent = await localAgent((body) => ({
      jsonrpc: '2.0',
      id: body.id,
      result: {
        kind: 'message',
        parts: [
          { kind: 'text', text: 'hello' },
          { kind: 'file', file },
        ],
      },
    }))
    const link = connectWith(['--forward', agent.url, '--once', '--from-start'])
    await say('hi', undefined, { vendor: 1 })
    expect(await link.ended).toBe(0)
    agent.close()
    expect(agent.bodies).toHaveLength(1)
    expect(agent.bodies[0]?.body).toMatchObject({
      method: 'message/send',
      params: { message: { parts: [{ text: 'hi' }], metadata: { vendor: 1 } } },
    })
    expect(agent.bodies[0]?.headers['authorization']).toBeUndefined()
    const [row] = await feed(workspace)
    expect(row?.response_body).toEqual({ result: 'hello', parts: [{ kind: 'file', file }] })
  })

  it('waits for a task that is not finished at once', async () => {
    const agent = await localAgent((body, call) => ({
      jsonrpc: '2.0',
      id: body.id,
      result: {
        kind: 'task',
        id: 't1',
        status:
          call < 3
            ? { state: 'working' }
            : { state: 'completed', message: { parts: [{ kind: 'text', text: 'done' }] } },
      },
    }))
    await say('work')
    expect(await connectWith(['--forward', agent.url, '--once', '--from-start']).ended).toBe(0)
    agent.close()
    expect(await told()).toEqual(['done'])
  })

  it('gives a message up that its agent breaks off at each time, and goes on', async () => {
    let breaks = 0
    const agent = await localAgent((body) => {
      if (JSON.stringify(body).includes('poison')) {
        breaks += 1
        return undefined
      }
      return { jsonrpc: '2.0', id: body.id, result: { kind: 'message', parts: PARTS } }
    })
    for (const text of ['poison', 'hi']) await say(text)
    expect(await connectWith(['--forward', agent.url, '--once', '--from-start']).ended).toBe(0)
    agent.close()
    expect(breaks).toBe(5)
    expect((await told()).toSorted()).toEqual([
      'Agent error: this message could not be answered in 5 attempts',
      'hello',
    ])
  })

  it('ends with --once although its last answer is out before it hears that nothing more came', async () => {
    const asked = Promise.withResolvers<void>()
    const agent = await localAgent(async (body) => {
      await asked.promise
      return { jsonrpc: '2.0', id: body.id, result: { kind: 'message', parts: PARTS } }
    })
    await say('hi')
    const link = connectWith(['--forward', agent.url, '--once', '--from-start'])
    // The second page is empty, and what is at work is over before that is heard.
    gate.beforeAnswer = async (line) => {
      const pages = gate.seen.filter((each) => each.endsWith('/activity')).length
      if (!line.endsWith('/activity') || pages !== 2) return
      asked.resolve()
      await eventually(() => link.stderr().includes('answered'))
    }
    expect(await link.ended).toBe(0)
    agent.close()
    expect(await told()).toEqual(['hello'])
  })

  it('waits for an agent that is not there yet, and says so', async () => {
    const placeholder = await localAgent(() => ({}))
    const port = new URL(placeholder.url).port
    placeholder.close()
    const link = connectWith(['--forward', `http://127.0.0.1:${port}`, '--from-start'])
    await say('anybody?')
    await eventually(() => link.stderr().includes('does not answer; trying again until it does'))
    const server = createServer((_, response) =>
      response.end('{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"not today"}}'),
    )
    await new Promise<void>((listening) => {
      server.listen(Number(port), '127.0.0.1', listening)
    })
    await eventually(async () => (await told()).length > 0)
    server.close()
    expect(await told()).toEqual(['Agent error: not today'])
  })
})
