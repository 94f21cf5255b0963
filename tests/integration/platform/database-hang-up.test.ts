/** A proxy that takes every connection and hangs up, because the database behind it is away. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { isDatabaseUnavailable } from '../../../apps/platform/src/db/db-error.ts'
import { eventually } from '../../support/eventually.ts'

let proxy: Server
let attempts: number
let client: DatabaseClient

beforeEach(async () => {
  attempts = 0
  proxy = createServer((socket) => {
    attempts += 1
    // Polite: it has listened to the end of what the driver says first.
    socket.once('data', () => socket.end())
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const address = proxy.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP socket')
  const url = `postgres://nobody@127.0.0.1:${address.port}/none`
  client = openDatabase({ url, maxConnections: 1 })
})
afterEach(async () => {
  await client.close()
  proxy.close()
})

describe('a database that hangs up each time', () => {
  it('is away, for a query as for a transaction', async () => {
    const thrown = [
      await client.ping().catch((error: unknown) => error),
      await client.db.transaction(async () => 1).catch((error: unknown) => error),
    ]
    expect(thrown.map(isDatabaseUnavailable)).toEqual([true, true])
    expect(attempts).toBe(2)
  })

  it('is listened to once a second, and not as often as it hangs up', async () => {
    const failures: unknown[] = []
    client.listen('one', {
      payload: () => undefined,
      listening: () => undefined,
      failed: (error) => failures.push(error),
    })
    await eventually(() => attempts >= 3)
    expect(attempts).toBe(3)
    expect(failures.map(isDatabaseUnavailable)).toEqual([true])
  })
})
