/** A database that is spoken to over TLS, as it says in `DATABASE_URL` (docs/configuration). */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { isDatabaseUnavailable } from '../../../apps/platform/src/db/db-error.ts'
import { eventually } from '../../support/eventually.ts'
import { createEmptyDatabase, type TestDatabase } from '../../support/test-database.ts'
import {
  openTlsDoor,
  TEST_CERTIFICATE,
  type TlsDoor,
  type TlsReply,
} from '../../support/tls-door.ts'

let database: TestDatabase
let doors: TlsDoor[] = []
let clients: DatabaseClient[] = []

beforeAll(async () => {
  database = await createEmptyDatabase()
})
afterEach(async () => {
  for (const client of clients) await client.abandon()
  for (const door of doors) await door.close()
  doors = []
  clients = []
})
afterAll(() => database.drop())

async function open(mode: string, reply: TlsReply = 'S') {
  const door = await openTlsDoor(database.url, reply)
  doors.push(door)
  const url = `${door.url}?sslmode=${mode}`
  const client = openDatabase({ url, maxConnections: 1 })
  clients.push(client)
  return { door, url, client }
}

const failureOf = (client: DatabaseClient) => client.ping().catch((error: unknown) => error)

describe('a database with TLS', () => {
  it('is spoken to over TLS where the URL says so, and listened to', async () => {
    const { client } = await open('require')
    await client.ping()
    const heard: string[] = []
    const listening = Promise.withResolvers<void>()
    client.listen('one', {
      payload: (payload) => heard.push(payload),
      listening: () => listening.resolve(),
      failed: (error) => listening.reject(error),
    })
    await listening.promise
    await client.sql`SELECT pg_notify('one', 'hello')`
    await eventually(() => heard.length === 1)
  })

  it('has a certificate that nobody answers for, which verify-full refuses', async () => {
    const { client } = await open('verify-full')
    expect(await failureOf(client)).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  })

  it('is believed by the name in its certificate, and by no other', async () => {
    const { url } = await open('verify-full')
    const folder = mkdtempSync(join(tmpdir(), 'atrium-tls-'))
    try {
      const authority = join(folder, 'ca.pem')
      writeFileSync(authority, TEST_CERTIFICATE)
      const told = (each: string) => pingElsewhere(each, authority)
      expect(await told(url)).toBe('there')
      expect(await told(url.replace('@localhost:', '@127.0.0.1:'))).toBe(
        'ERR_TLS_CERT_ALTNAME_INVALID',
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

/** An authority is told to a process at its start. */
async function pingElsewhere(url: string, authority: string): Promise<string> {
  const module = resolve(import.meta.dirname, '../../../apps/platform/src/db/client.ts')
  const script = `
    const { openDatabase } = await import(${JSON.stringify(module)})
    const client = openDatabase({ url: process.env.URL_TO_ASK, maxConnections: 1 })
    process.stdout.write(await client.ping().then(() => 'there', (error) => String(error.code)))
    await client.abandon()`
  const env = { ...process.env, URL_TO_ASK: url, NODE_EXTRA_CA_CERTS: authority }
  const args = ['--input-type=module', '-e', script]
  return (await promisify(execFile)(process.execPath, args, { env })).stdout
}

describe('a database without TLS', () => {
  it('is away for who demands it', async () => {
    const failure = await failureOf((await open('require', 'N')).client)
    expect(isDatabaseUnavailable(failure)).toBe(true)
    expect(String(failure)).toContain('offers no TLS')
  })

  it('is spoken to in the clear by who only prefers it', async () => {
    await (await open('prefer', 'N')).client.ping()
  })
})

describe('a door that answers the question for TLS wrongly', () => {
  it.each(['', 'SE', 'E'])('is a database that is away: %j', async (reply) => {
    const { client, door } = await open('require', reply)
    expect(isDatabaseUnavailable(await failureOf(client))).toBe(true)
    await eventually(() => door.connections() === 0)
  })

  it('is left when nobody asks any more', async () => {
    const { client, door } = await open('require', undefined)
    const failure = failureOf(client)
    await eventually(() => door.connections() === 1)
    await client.abandon()
    expect(isDatabaseUnavailable(await failure)).toBe(true)
    await eventually(() => door.connections() === 0)
  })
})
