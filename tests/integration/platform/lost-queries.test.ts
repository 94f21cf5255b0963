/** Queries of whoever asks again at once when the connections to the database are cut. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { isDatabaseUnavailable } from '../../../apps/platform/src/db/db-error.ts'
import { type DatabaseGate, openDatabaseGate } from '../../support/database-gate.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'

let database: TestDatabase
let gate: DatabaseGate
let client: DatabaseClient

beforeAll(async () => {
  database = await createTestDatabase()
  gate = await openDatabaseGate(database.url)
  client = openDatabase({ url: gate.url, maxConnections: 3 })
})
afterAll(async () => {
  await client.abandon()
  await gate.shut()
  await database.drop()
})

/** What the database says, or that it is away. */
async function ask(word: string): Promise<string> {
  try {
    const rows = await client.sql<{ word: string }[]>`SELECT ${word}::text AS word`
    return rows[0]?.word ?? 'nothing'
  } catch (error) {
    if (!isDatabaseUnavailable(error)) throw error
    return 'away'
  }
}

describe('a query after one that lost its connection', () => {
  it('is answered with what it asked for, or fails', async () => {
    for (let round = 0; round < 6; round += 1) {
      // As many connections as there may be: one is busy, and the others have nothing to do.
      await Promise.all(['a', 'b', 'c'].map(ask))
      const again = client.sql`SELECT pg_sleep(20)`.then(
        () => ['slept'],
        () => Promise.all([`${round}-1`, `${round}-2`, `${round}-3`].map(ask)),
      )
      await gate.shut()
      await gate.open()
      const told = await again
      for (const [index, word] of told.entries()) {
        expect([`${round}-${index + 1}`, 'away']).toContain(word)
      }
      // The connection that comes back has nothing left over from before.
      expect(await ask('later')).toBe('later')
    }
  }, 15_000)
})
