/** Memory per stream is one slice: nothing is read while one is still on its way to the client. */
import { once } from 'node:events'
import {
  createServer,
  get,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { OnreadAgent } from '../../../apps/platform/src/upstream/onread-agent.ts'
import { BodyRelay } from '../../../apps/platform/src/upstream/relay-body.ts'
import { eventually } from '../../support/eventually.ts'
import { EvilWorkspace } from '../../support/evil-workspace.ts'
import { open } from '../../support/raw-client.ts'

const SLICE_BYTES = 256 * 1024
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

/** The exchange with a client that has sent its request and does not read the answer. */
async function exchangeWithIdleClient(): Promise<{ client: IncomingMessage; to: ServerResponse }> {
  const front = createServer()
  servers.push(front)
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  const address = front.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  const request = once(front, 'request')
  const client = open(new URL(`http://127.0.0.1:${address.port}`))
  const [, to] = await request
  to.writeHead(200)
  to.flushHeaders()
  return { client: await client, to }
}

it('keeps one slice and reads no other while the client does not take it', async () => {
  const evil = await EvilWorkspace.start('endless-body')
  const agent = new OnreadAgent()
  const { client, to } = await exchangeWithIdleClient()
  const upstream = get(evil.url, { agent })
  upstream.once('error', () => upstream.destroy())
  const { source, relay } = await new Promise<{ source: IncomingMessage; relay: BodyRelay }>(
    (resolve) => {
      upstream.once('response', (response) => {
        resolve({ source: response, relay: new BodyRelay(response, to) })
      })
    },
  )
  const moved = relay.move(() => undefined).catch(() => 'cut')
  let before = -1
  await eventually(async () => {
    const isSettled = relay.isBlockedByClient && relay.bytes === before
    before = relay.bytes
    await delay(100)
    return isSettled
  })
  expect(source.readableLength).toBe(0)
  expect(to.writableLength).toBeLessThan(SLICE_BYTES + 1024)

  client.destroy()
  upstream.destroy()
  expect(await moved).toBe('cut')
  await evil.close()
})
