/** A connection that goes away in the middle of a transaction, at each moment of it. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { sql as statement } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { isDatabaseUnavailable } from '../../../apps/platform/src/db/db-error.ts'
import { type DatabaseGate, openDatabaseGate } from '../../support/database-gate.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'

let database: TestDatabase
let gate: DatabaseGate
let client: DatabaseClient
let failures: unknown[]
const note = (error: unknown): void => void failures.push(error)

beforeEach(async () => {
  database = await createTestDatabase()
  gate = await openDatabaseGate(database.url)
  client = openDatabase({ url: gate.url, maxConnections: 2 })
  failures = []
  process.on('uncaughtExceptionMonitor', note)
})
afterEach(async () => {
  process.off('uncaughtExceptionMonitor', note)
  await gate.open()
  await client.close()
  await gate.shut()
  await database.drop()
})

const one = statement`SELECT 1`

/** Long enough for whatever the driver has put off to the next turns of the loop. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) {
    await nextTurn()
  }
}

describe('a transaction whose connection goes away', () => {
  it.each([
    [
      'in a query',
      async (query: () => Promise<unknown>) => {
        const asked = query()
        await gate.shut()
        await asked
      },
    ],
    [
      'between two queries',
      async (query: () => Promise<unknown>) => {
        await gate.shut()
        await turns()
        await query()
      },
    ],
    [
      'before its end',
      async () => {
        await gate.shut()
        await turns()
      },
    ],
  ] as const)('%s fails, is known for an outage, and harms nobody', async (_name, work) => {
    for (const isNested of [false, true]) {
      const begun = client.db.transaction(async (tx) => {
        await tx.execute(one)
        const inner = isNested
          ? (query: (db: typeof tx) => Promise<unknown>) => tx.transaction(query)
          : (query: (db: typeof tx) => Promise<unknown>) => query(tx)
        await inner(async (db) => {
          await work(() => db.execute(one))
        })
      })
      const error: unknown = await begun.catch((thrown: unknown) => thrown)
      expect([isNested, isDatabaseUnavailable(error)]).toEqual([isNested, true])
      await turns()
      expect(failures).toEqual([])
      await gate.open()
      // The same pool serves the next one.
      await client.db.transaction((tx) => tx.execute(one))
    }
  })

  it('is an ordinary one otherwise: it is kept, or rolled back with its own error', async () => {
    await client.sql`CREATE TABLE kept (n integer)`
    await client.db.transaction(async (tx) => {
      await tx.execute(statement`INSERT INTO kept VALUES (1)`)
      await expect(
        tx.transaction(async (inner) => {
          await inner.execute(statement`INSERT INTO kept VALUES (2)`)
          throw new Error('changed my mind')
        }),
      ).rejects.toThrow('changed my mind')
    })
    const refused = client.db.transaction(async (tx) => {
      await tx.execute(statement`INSERT INTO kept VALUES (3)`)
      throw new Error('no')
    })
    await expect(refused).rejects.toThrow('no')
    expect(await client.sql`SELECT n FROM kept`).toEqual([{ n: 1 }])
  })
})
