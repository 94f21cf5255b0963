import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { AgentClient } from '../../../apps/platform/src/upstream/agent-client.ts'

/** More than a pool of a usual size has places for. */
const STREAMS = 600

const client = new AgentClient({
  ...{ connectTimeoutMs: 10_000, headersTimeoutMs: 10_000, idleTimeoutMs: 10_000 },
  policy: { allowLoopback: true, allowPrivate: false },
})
/** Begins a stream for whoever asks and never ends it; says `done` to who sends `finish`. */
const agent = createServer(async (incoming, response) => {
  let text = ''
  for await (const piece of incoming) text += piece
  if (text === 'finish') response.end('done')
  else response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
})

beforeEach(async () => {
  agent.listen(0, '127.0.0.1')
  await once(agent, 'listening')
})
afterEach(async () => {
  await client.close()
  agent.closeAllConnections()
  agent.close()
})

const post = (body: string) => {
  const { port } = agent.address() as AddressInfo
  return client.post({
    endpoint: { url: new URL(`http://127.0.0.1:${port}/`), isTrusted: true },
    body: Buffer.from(body),
    headers: {},
    signal: AbortSignal.timeout(15_000),
  })
}

it('begins any number of streams of one agent, and still reaches it with a message', async () => {
  const streams = await Promise.all(Array.from({ length: STREAMS }, () => post('stream')))
  for (const { body } of streams) body.on('error', () => undefined)
  const answer = await post('finish')
  expect(await answer.body.toArray()).toEqual([Buffer.from('done')])
  for (const { body } of streams) body.destroy()
})
