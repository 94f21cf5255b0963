import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { type BaseEnv, requestContext } from '@atrium/hono-kit/request-context'
import { type ListeningServer, listen } from '@atrium/hono-kit/server'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { Hono } from 'hono'
import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { sendEvents } from '../../../apps/workspace-runtime/src/agent/event-stream.ts'
import { eventually } from '../../support/eventually.ts'

describe('sendEvents', () => {
  let server: ListeningServer
  let client: Socket | undefined

  afterEach(async () => {
    client?.destroy()
    await server.close(0)
  })

  /** Serves the events to whoever asks; resolves with a client that has asked. */
  async function serve(
    events: () => AsyncIterable<string>,
    options = { heartbeatMs: 10_000, stallMs: 10_000 },
  ): Promise<Socket> {
    const app = new Hono<BaseEnv>()
    const log = pino({ level: 'silent' })
    app.use(requestContext({ log, clock: systemClock, ids: systemIds }))
    app.get('/', (c) => rawExchange(c, (exchange) => sendEvents(exchange, events(), options)))
    server = await listen(app, { host: '127.0.0.1', port: 0 })
    client = connect(server.port, '127.0.0.1')
    client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    return client
  }

  async function everything(socket: Socket): Promise<string> {
    let text = ''
    socket.on('data', (piece) => {
      text += piece.toString('latin1')
    })
    await once(socket, 'close')
    return text
  }

  it('sends one data line for each event, uncompressed and uncached, and ends', async () => {
    const text = await everything(
      await serve(async function* () {
        yield '{"a":1}'
        yield '{"b":2}'
      }),
    )
    expect(text).toMatch(/^HTTP\/1\.1 200 /)
    expect(text.toLowerCase()).toContain('content-type: text/event-stream\r\n')
    expect(text.toLowerCase()).toContain('cache-control: no-store\r\n')
    expect(text).toContain('data: {"a":1}\n\n')
    expect(text.trimEnd().endsWith('0')).toBe(true)
  })

  it('sends comments while nothing happens', async () => {
    const { promise: hasBeaten, resolve } = Promise.withResolvers<void>()
    const socket = await serve(
      async function* () {
        yield '1'
        await hasBeaten
        yield '2'
      },
      { heartbeatMs: 50, stallMs: 10_000 },
    )
    let seen = ''
    socket.on('data', (piece) => {
      seen += piece.toString('latin1')
      if (seen.split(': hb\n\n').length > 3) resolve()
    })
    expect(await everything(socket)).toMatch(/data: 1\n\n.*: hb\n\n.*data: 2\n\n/s)
  })

  it('sends no comments while something happens', async () => {
    const busy = await serve(
      async function* () {
        for (let event = 0; event < 15; event += 1) {
          yield '2'
          await delay(100)
        }
      },
      { heartbeatMs: 1_000, stallMs: 10_000 },
    )
    expect(await everything(busy)).not.toContain(': hb')
  })

  it('does not read ahead of a client that does not take anything', async () => {
    let produced = 0
    const socket = await serve(async function* () {
      const event = 'x'.repeat(64 * 1024)
      for (produced = 0; produced < 1_000; produced += 1) yield event
    })
    socket.pause()
    await eventually(() => produced > 0)
    let last = -1
    await eventually(async () => {
      const isStill = produced === last
      last = produced
      await delay(100)
      return isStill
    })
    // What fits into the buffers of both sockets, and no more: 1000 would be 64 MiB.
    expect(produced).toBeLessThan(400)
    socket.resume()
    await once(socket, 'close')
    expect(produced).toBe(1_000)
  })

  it('cuts off a client that stalls, and reads the events to their end all the same', async () => {
    let isDone = false
    const socket = await serve(
      async function* () {
        for (let event = 0; event < 1_000; event += 1) yield 'x'.repeat(64 * 1024)
        isDone = true
      },
      { heartbeatMs: 10_000, stallMs: 200 },
    )
    socket.pause()
    await eventually(() => isDone)
    socket.on('error', () => undefined)
    expect(await everything(socket.resume())).not.toMatch(/\r\n0\r\n\r\n$/)
  })

  it('reads the events to their end when the client goes away', async () => {
    let isDone = false
    const socket = await serve(async function* () {
      yield '1'
      await delay(100)
      yield '2'
      isDone = true
    })
    await once(socket, 'data')
    socket.destroy()
    await eventually(() => isDone)
  })
})
