/** Queries of whoever asks again at once when the connections to the database are cut. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { isDatabaseUnavailable } from '../../../apps/platform/src/db/db-error.ts'
import { type DatabaseGate, openDatabaseGate } from '../../support/database-gate.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'
import { openTlsDoor, type TlsDoor } from '../../support/tls-door.ts'

let database: TestDatabase
let door: TlsDoor

beforeAll(async () => {
  database = await createTestDatabase()
  door = await openTlsDoor(database.url)
})
afterAll(async () => {
  await door.close()
  await database.drop()
})

/** What the database says, or that it is away. */
async function ask({ sql }: DatabaseClient, word: string): Promise<string> {
  try {
    const rows = await sql<{ word: string }[]>`SELECT ${word}::text AS word`
    return rows[0]?.word ?? 'nothing'
  } catch (error) {
    if (!isDatabaseUnavailable(error)) throw error
    return 'away'
  }
}

describe.each([
  { how: 'in the clear', query: '' },
  { how: 'over TLS', query: '?sslmode=require' },
])('a query after one that lost its connection, $how', ({ query }) => {
  let gate: DatabaseGate
  let client: DatabaseClient
  beforeAll(async () => {
    gate = await openDatabaseGate(query === '' ? database.url : door.url)
    client = openDatabase({ url: `${gate.url}${query}`, maxConnections: 3 })
  })
  afterAll(async () => {
    await client.abandon()
    await gate.shut()
  })

  it('is answered with what it asked for, or fails', async () => {
    for (let round = 0; round < 4; round += 1) {
      // As many connections as there may be: one is busy, and the others have nothing to do.
      await Promise.all(['a', 'b', 'c'].map((word) => ask(client, word)))
      const again = client.sql`SELECT pg_sleep(20)`.then(
        () => ['slept'],
        () =>
          Promise.all([`${round}-1`, `${round}-2`, `${round}-3`].map((word) => ask(client, word))),
      )
      await gate.shut('reset')
      await gate.open()
      const told = await again
      for (const [index, word] of told.entries()) {
        expect([`${round}-${index + 1}`, 'away']).toContain(word)
      }
      // The connection that comes back has nothing left over from before.
      expect(await ask(client, 'later')).toBe('later')
    }
  }, 15_000)
})
