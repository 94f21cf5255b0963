import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'

let database: TestDatabase
let client: DatabaseClient

beforeAll(async () => {
  database = await createTestDatabase()
  client = openDatabase({ url: database.url, maxConnections: 2 })
})
afterAll(async () => {
  await client.close()
  await database.drop()
})

const storable = fc
  .string({ unit: 'grapheme', maxLength: 30 })
  .map((text) => text.replaceAll('\u0000', ''))
const awkward = fc.constantFrom(
  '',
  'NULL',
  'null',
  '"',
  '\\',
  '{',
  '}',
  ',',
  '\n',
  ' a ',
  '\\"',
  "'",
)

describe('arrays through the driver', () => {
  it('come back as they went, whatever their texts contain', async () => {
    const texts = fc.array(fc.oneof(storable, awkward, fc.constant(null)), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(texts, async (values) => {
        const rows = await client.sql`
          SELECT ${values}::text[] AS back, array_length(${values}::text[], 1) AS length`
        expect(rows[0]).toEqual({ back: values, length: values.length || null })
      }),
      { numRuns: 60 },
    )
  })

  it('carry numbers, truth values and identifiers', async () => {
    const id = '0b6cdd28-0000-4000-8000-000000000001'
    const rows = await client.sql`
      SELECT ${[1, null, -2]}::integer[] AS int4, ${[0.5, 1e300]}::double precision[] AS float8,
             ${['9007199254740993']}::bigint[] AS int8, ${[id]}::uuid[] AS uuid,
             ARRAY[true, false, NULL] AS bool`
    expect(rows[0]).toEqual({
      int4: [1, null, -2],
      float8: [0.5, 1e300],
      int8: ['9007199254740993'],
      uuid: [id],
      bool: [true, false, null],
    })
  })
})
