/** Notifications over a database that goes away, several times, before and after the first one. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { type DatabaseGate, openDatabaseGate } from '../../support/database-gate.ts'
import { eventually } from '../../support/eventually.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'

let database: TestDatabase
let gate: DatabaseGate
let client: DatabaseClient
let heard: string[]

beforeEach(async () => {
  database = await createTestDatabase()
  gate = await openDatabaseGate(database.url)
  client = openDatabase({ url: gate.url, maxConnections: 2 })
  heard = []
})
afterEach(async () => {
  await gate.open()
  await client.close()
  await gate.shut()
  await database.drop()
})

function follow(channel: string): void {
  client.listen(channel, {
    payload: (payload) => heard.push(`${channel}:${payload}`),
    listening: () => heard.push(`${channel} listening`),
    failed: () => heard.push(`${channel} failed`),
  })
}

const notify = (channel: string, payload: string) =>
  database.sql`SELECT pg_notify(${channel}, ${payload})`

describe('a database that is away when it is first listened to', () => {
  it('is told of once, and heard once it is there, each notification once', async () => {
    await gate.shut()
    follow('one')
    follow('two')
    // Several attempts, each of which fails.
    await delay(3_500)
    expect(heard.toSorted()).toEqual(['one failed', 'two failed'])
    await gate.open()
    await eventually(() => heard.includes('one listening') && heard.includes('two listening'))
    heard.length = 0
    await notify('one', 'a')
    await notify('two', 'b')
    await notify('one', 'c')
    await eventually(() => heard.length >= 3)
    await delay(100)
    expect(heard.toSorted()).toEqual(['one:a', 'one:c', 'two:b'])
  })

  it('is not asked any more once the client is closed', async () => {
    await gate.shut()
    follow('one')
    await eventually(() => heard.includes('one failed'))
    await client.close()
    await gate.open()
    // Longer than between two attempts.
    await delay(2_500)
    expect(heard).toEqual(['one failed'])
    expect(gate.connections()).toBe(0)
  })
})

describe('a connection that is lost', () => {
  it('comes back and says so, for every channel', async () => {
    follow('one')
    await eventually(() => heard.includes('one listening'))
    follow('two')
    await eventually(() => heard.includes('two listening'))
    await gate.shut()
    await delay(2_500)
    heard.length = 0
    await gate.open()
    await eventually(() => heard.includes('one listening') && heard.includes('two listening'))
    await notify('two', 'again')
    await eventually(() => heard.includes('two:again'))
  })

  it('is given up by a client that closes, and nobody is called any more', async () => {
    follow('one')
    await eventually(() => heard.includes('one listening'))
    await client.close()
    await eventually(() => gate.connections() === 0)
    await notify('one', 'late')
    expect(heard).toEqual(['one listening'])
  })
})
