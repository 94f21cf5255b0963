/** @module What a database error means to us: SQLSTATE and constraint name, never its text (H24). */
import { DrizzleQueryError } from 'drizzle-orm'
import { pino } from 'pino'
import postgres from 'postgres'

/** drizzle around the driver, our own errors around drizzle: no chain is longer. */
const MAX_DEPTH = 4

export type DatabaseFailure = { readonly sqlState: string; readonly constraint: string | undefined }

/**
 * The SQLSTATE behind a thrown value, or undefined when PostgreSQL did not throw it. drizzle wraps
 * the driver's error, and its own message contains the parameters: never log that one.
 */
export function databaseFailure(thrown: unknown): DatabaseFailure | undefined {
  const error = chainOf(thrown).find((each) => each instanceof postgres.PostgresError)
  return error && { sqlState: error.code, constraint: error.constraint_name }
}

/** 23503: a referenced row does not exist. */
export function isForeignKeyViolation(thrown: unknown, constraint: string): boolean {
  const failure = databaseFailure(thrown)
  return failure?.sqlState === '23503' && failure.constraint === constraint
}

/** 55P03: a lock was not to be had in the time that was given for it. */
export function isLockTimeout(thrown: unknown): boolean {
  return databaseFailure(thrown)?.sqlState === '55P03'
}

/** The driver's own words for a connection that is not there. */
const DRIVER_CODES: ReadonlySet<string> = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
])

/** What a socket says, which only counts when it is the driver's: it notes the query on the error. */
const SOCKET_CODES: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
  ...['ENOTFOUND', 'EAI_AGAIN'],
])

/** Connection lost (08), too many connections (53300), shutting down or starting up (57P01 to 57P03). */
const UNAVAILABLE_STATES = /^(08...|53300|57P0[123])$/

/** Whether a query failed because the database is not there at the moment: later it may succeed. */
export function isDatabaseUnavailable(thrown: unknown): boolean {
  const failure = databaseFailure(thrown)
  return failure === undefined
    ? isConnectionLost(thrown)
    : UNAVAILABLE_STATES.test(failure.sqlState)
}

/** Data (22), constraints (23), sizes (54) and deadlocks of a statement, which did nothing then. */
const CONTENT_STATES = /^(22|23|54|40P01)/

/** Whether it was what a statement holds that had the database refuse it, as a whole. */
export function isContentRefused(thrown: unknown): boolean {
  return CONTENT_STATES.test(databaseFailure(thrown)?.sqlState ?? '')
}

/** Whether a query failed because its connection is gone, in the driver's or the socket's words. */
export function isConnectionLost(thrown: unknown): boolean {
  return chainOf(thrown).some((error) => {
    const code = 'code' in error ? String(error.code) : ''
    return DRIVER_CODES.has(code) || ('query' in error && SOCKET_CODES.has(code))
  })
}

/** An error and its causes, outermost first. */
function chainOf(thrown: unknown): Error[] {
  const chain: Error[] = []
  let current = thrown
  while (chain.length < MAX_DEPTH && current instanceof Error) {
    chain.push(current)
    current = current.cause
  }
  return chain
}

/** An error that may be logged: SQLSTATE and constraint instead of the statement's parameters. */
export function loggableDatabaseError(thrown: unknown): Error {
  const failure = databaseFailure(thrown)
  if (failure !== undefined) {
    return new Error(`database error ${failure.sqlState} ${failure.constraint ?? ''}`.trimEnd())
  }
  const query = chainOf(thrown).find((error) => error instanceof DrizzleQueryError)
  if (query !== undefined) return new Error(`database query failed: ${reasonOf(query.cause)}`)
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'unknown cause'
}

/**
 * pino's serializer for errors: whatever is logged, a statement's parameters are not (H24), and
 * neither is what a library hangs on its errors (HTTP parsers: the bytes that they choked on).
 */
export function serializeError(thrown: unknown): unknown {
  const { type, message, stack, code } = pino.stdSerializers.err(loggableDatabaseError(thrown))
  return { type, message, stack, code }
}
