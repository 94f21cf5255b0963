/** @module The connection pool: postgres.js under drizzle, the same for every database we run on. */
import { type ExtractTablesWithRelations, is } from 'drizzle-orm'
import { type PgDatabase, PgTransaction } from 'drizzle-orm/pg-core'
import { drizzle, type PostgresJsQueryResultHKT } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import { ARRAY_TYPES } from './array-types.ts'
import { driverOptions } from './driver-options.ts'
import { type NotificationHandlers, NotificationListener } from './notification-listener.ts'
import * as schema from './schema.ts'
import { withSurvivableTransactions } from './survivable-transactions.ts'

/** A connection or an open transaction: stores take either, services open transactions (H21). */
export type Db = PgDatabase<
  PostgresJsQueryResultHKT,
  typeof schema,
  ExtractTablesWithRelations<typeof schema>
>

/** Runs `work` in the transaction that `db` is, or in one of its own. */
export async function inTransaction<T>(db: Db, work: (tx: Db) => Promise<T>): Promise<T> {
  return is(db, PgTransaction) ? await work(db) : await db.transaction(work)
}

/** The pool itself, for the few statements whose text must be prepared once and never built. */
export type Sql = postgres.Sql

export type DatabaseClient = {
  readonly db: Db
  readonly sql: Sql
  /** Resolves when the database answers a query; rejects otherwise. */
  ping(): Promise<void>
  /**
   * Calls `handlers` for every notification of a channel, on a connection of its own that comes back
   * when it is lost. Returns at once: a database that is away is waited for.
   */
  listen(channel: string, handlers: NotificationHandlers): void
  close(): Promise<void>
  /** `close` without any patience: whatever waits for an answer is rejected now. */
  abandon(): Promise<void>
}

/** The driver's own back-off grows to 20 s: so long after its return a database would still be "away". */
const MAX_RECONNECT_DELAY_SECONDS = 1

/** Columns of `json` (not `jsonb`) hold what somebody else wrote; who reads one parses it losslessly. */
const JSON_TEXT: postgres.PostgresType<string> = {
  to: 114,
  from: [114],
  serialize: String,
  parse: String,
}

/** What is asked when the client closes gets so long for its answer. */
const CLOSE_TIMEOUT_SECONDS = 5

/** Opens a pool of at most `maxConnections`; connects on first use. */
export function openDatabase(options: {
  readonly url: string
  readonly maxConnections: number
}): DatabaseClient {
  const ended = new AbortController()
  const pool = postgres(options.url, {
    ...driverOptions(options.url, ended.signal),
    max: options.maxConnections,
    backoff: (failures) => Math.min(3 ** failures / 100, MAX_RECONNECT_DELAY_SECONDS),
    types: { ...ARRAY_TYPES, json_text: JSON_TEXT },
  })
  const sql = withSurvivableTransactions(pool)
  // Connects when somebody listens.
  const listener = new NotificationListener(options.url)
  const end = async (timeout: number): Promise<void> => {
    await Promise.all([listener.stop(), sql.end({ timeout })])
    ended.abort()
  }
  return {
    db: drizzle(sql, { schema }),
    sql,
    async ping() {
      await sql`SELECT 1`
    },
    listen(channel, handlers) {
      listener.listen(channel, handlers)
    },
    close: () => end(CLOSE_TIMEOUT_SECONDS),
    abandon: () => end(0),
  }
}
