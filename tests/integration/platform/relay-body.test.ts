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
import {
  type BodyRelay,
  prepareConnection,
  relayFor,
} from '../../../apps/platform/src/upstream/body-relay.ts'
import { OnreadAgent, OnreadSocket } from '../../../apps/platform/src/upstream/onread-agent.ts'
import { ParsedBody } from '../../../apps/platform/src/upstream/parsed-body.ts'
import { eventually } from '../../support/eventually.ts'
import { open } from '../../support/raw-client.ts'

const SLICE_BYTES = 256 * 1024
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

async function listening(server: Server): Promise<URL> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  return new URL(`http://127.0.0.1:${address.port}`)
}

/** The exchange with a client that has sent its request and does not read the answer. */
async function exchangeWithIdleClient(): Promise<{ client: IncomingMessage; to: ServerResponse }> {
  const front = createServer()
  const url = await listening(front)
  const request = once(front, 'request')
  const client = open(url)
  const [, to] = await request
  to.writeHead(200)
  to.flushHeaders()
  return { client: await client, to }
}

/** A workspace whose answer has no end worth waiting for, and whether its length is known. */
const SOURCES = [
  ['chunked', 'parser', {}],
  ['of known length', 'bypass', { 'content-length': String(1024 ** 4) }],
] as const

it.each(SOURCES)('keeps one slice of an answer %s and reads no other', async (_, way, headers) => {
  const workspace = createServer((_incoming, outgoing) => {
    outgoing.writeHead(200, headers)
    const piece = Buffer.alloc(64 * 1024, 'p')
    const pour = (): void => {
      while (!outgoing.destroyed && outgoing.write(piece)) {
        // until the kernel is full
      }
    }
    outgoing.on('drain', pour)
    pour()
  })
  const url = await listening(workspace)
  const { client, to } = await exchangeWithIdleClient()
  const upstream = get(url, { agent: new OnreadAgent() })
  upstream.once('error', () => upstream.destroy())
  upstream.once('socket', (socket) => {
    if (socket instanceof OnreadSocket) prepareConnection(upstream, socket)
  })
  const { source, relay } = await new Promise<{ source: IncomingMessage; relay: BodyRelay }>(
    (resolve) => {
      upstream.once('response', (response) => {
        const relay = relayFor(upstream, response, { outgoing: to, method: 'GET' })
        resolve({ source: response, relay })
      })
    },
  )
  expect(relay instanceof ParsedBody ? 'parser' : 'bypass').toBe(way)
  const bytesRead = (): number => upstream.socket?.bytesRead ?? 0
  const moved = relay.move(() => undefined).catch(() => 'cut')
  let before = -1
  await eventually(async () => {
    const isSettled = relay.isBlockedByClient && bytesRead() === before
    before = bytesRead()
    await delay(100)
    return isSettled
  })
  expect(source.readableLength).toBe(0)
  expect(to.writableLength).toBeLessThan(SLICE_BYTES + 1024)

  client.destroy()
  upstream.destroy()
  expect(await moved).toBe('cut')
})
