/** Who is to blame when an upload stands still. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import { afterEach, expect, it } from 'vitest'
import { RequestBodyPump } from '../../../apps/platform/src/upstream/request-body-pump.ts'
import { eventually } from '../../support/eventually.ts'
import { begin } from '../../support/raw-client.ts'

const undo: (() => void)[] = []

afterEach(() => {
  for (const each of undo.splice(0)) each()
})

/** The platform's side of an upload of ten bytes; the client has sent `text` of it. */
async function uploadWith(text: string): Promise<IncomingMessage> {
  const front = createServer()
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  const address = front.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  const arrived = once(front, 'request')
  const headers = { 'content-length': '10' }
  const client = begin(new URL(`http://127.0.0.1:${address.port}`), { method: 'POST', headers })
  client.on('error', () => client.destroy())
  client.write(text)
  undo.push(() => {
    client.destroy()
    front.close()
    front.closeAllConnections()
  })
  const [incoming] = await arrived
  return incoming
}

it.each([
  ['the client while it has not sent everything', 'half', false],
  ['the runtime once there is nothing left to send', 'everything', true],
])('is %s', async (_, text, isRuntime) => {
  const incoming = await uploadWith(text)
  let moved = 0
  // Never connects, so that what it was given stays with it.
  const upstream = request({ createConnection: () => undefined as never, method: 'POST' })
  upstream.on('error', () => undefined)
  undo.push(() => upstream.destroy())
  const pump = new RequestBodyPump(
    { incoming, upstream, limit: undefined },
    { progressed: () => (moved += 1), onBroken: () => undefined },
  )
  pump.start()
  await eventually(() => moved > 0)
  expect(pump.isBlockedByRuntime).toBe(isRuntime)
})
