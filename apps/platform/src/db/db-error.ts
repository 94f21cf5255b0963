/** @module What a database error means to us: SQLSTATE and constraint name, never its text (H24). */
import { pino } from 'pino'
import postgres from 'postgres'

export type DatabaseFailure = { readonly sqlState: string; readonly constraint: string | undefined }

/**
 * The SQLSTATE behind a thrown value, or undefined when PostgreSQL did not throw it. drizzle wraps
 * the driver's error, and its own message contains the parameters: never log that one.
 */
export function databaseFailure(thrown: unknown): DatabaseFailure | undefined {
  let current = thrown
  for (let depth = 0; depth < 3 && current instanceof Error; depth += 1) {
    if (current instanceof postgres.PostgresError) {
      return { sqlState: current.code, constraint: current.constraint_name }
    }
    current = current.cause
  }
  return undefined
}

/** 23503: a referenced row does not exist. */
export function isForeignKeyViolation(thrown: unknown, constraint: string): boolean {
  const failure = databaseFailure(thrown)
  return failure?.sqlState === '23503' && failure.constraint === constraint
}

/** An error that may be logged: SQLSTATE and constraint instead of the statement's parameters. */
export function loggableDatabaseError(thrown: unknown): Error {
  const failure = databaseFailure(thrown)
  if (failure !== undefined) {
    return new Error(`database error ${failure.sqlState} ${failure.constraint ?? ''}`.trimEnd())
  }
  if (thrown instanceof Error && thrown.name === 'DrizzleQueryError') {
    return new Error('database query failed', { cause: withoutCause(thrown.cause) })
  }
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

function withoutCause(cause: unknown): string {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : 'unknown cause'
}

/** pino's serializer for errors: whatever is logged, a statement's parameters are not (H24). */
export function serializeError(thrown: unknown): unknown {
  return pino.stdSerializers.err(loggableDatabaseError(thrown))
}
