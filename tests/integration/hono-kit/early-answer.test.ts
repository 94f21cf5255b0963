/** An answer that is given before the body was read, over real sockets. */
import { once } from 'node:events'
import type { ClientRequest } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { type EarlyAnswerDeadlines, earlyAnswer } from '@atrium/hono-kit/early-answer'
import { type BaseEnv, requestContext } from '@atrium/hono-kit/request-context'
import { type ListeningServer, listen } from '@atrium/hono-kit/server'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { Hono } from 'hono'
import pino from 'pino'
import { afterEach, expect, it } from 'vitest'
import { begin, readAnswer } from '../../support/raw-client.ts'

const undo: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each()
})

/** A server that refuses everything at once, and a request of which nothing was sent yet. */
async function refused(
  deadlines: EarlyAnswerDeadlines,
  headers: Readonly<Record<string, string>> = {},
): Promise<ClientRequest> {
  const app = new Hono<BaseEnv>()
  const log = pino({ level: 'silent' })
  app.use(requestContext({ log, clock: systemClock, ids: systemIds }), earlyAnswer(deadlines))
  app.post('/', (c) => c.json({ error: 'no' }, 401))
  const server: ListeningServer = await listen(app, { host: '127.0.0.1', port: 0 })
  undo.push(() => server.close(0))
  const sent = begin(new URL(`http://127.0.0.1:${server.port}/`), { method: 'POST', headers })
  sent.on('error', () => undefined)
  undo.push(() => void sent.destroy())
  return sent
}

it('is heard by a client that goes on sending longer than it may be silent', async () => {
  const pieces = 25
  const sent = await refused(
    { lingerMs: 60_000, silenceMs: 1_000 },
    { 'content-length': String(pieces) },
  )
  const response = once(sent, 'response')
  for (let index = 0; index < pieces; index += 1) {
    await new Promise<void>((resolve, reject) => {
      sent.write('x', (error) => (error ? reject(error) : resolve()))
    })
    await delay(100)
  }
  sent.end()
  const [received] = await response
  expect((await readAnswer(received)).status).toBe(401)
  expect(sent.destroyed).toBe(false)
})

it('ends the connection of a client that sends without an end', async () => {
  const sent = await refused({ lingerMs: 1_500, silenceMs: 60_000 })
  const closed = once(sent, 'close')
  const sending = setInterval(() => sent.write(Buffer.alloc(64 * 1024)), 5)
  undo.push(() => clearInterval(sending))
  const [received] = await once(sent, 'response')
  const answeredAt = performance.now()
  expect(received.statusCode).toBe(401)
  await closed
  // Cut at once it would be next to none, however busy the machine.
  expect(performance.now() - answeredAt).toBeGreaterThan(1_000)
})

it('ends the connection of a client that falls silent', async () => {
  const sent = await refused({ lingerMs: 60_000, silenceMs: 200 })
  const closed = once(sent, 'close')
  sent.write('x')
  const [received] = await once(sent, 'response')
  expect(received.statusCode).toBe(401)
  await closed
})
