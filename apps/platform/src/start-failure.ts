/** @module Why the platform could not start, in words that say what to change. */
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { MigrationError } from './db/migrate.ts'

/** Runs what the start needs of the database; says which one it was when that fails. */
export async function withDatabase<T>(url: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MigrationError) throw error
    throw new Error(`the database ${placeOf(url)} cannot be used: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

/** Host and database, never the credentials. A list of hosts is not a URL: then no place is named. */
function placeOf(url: string): string {
  const parsed = URL.parse(url)
  return parsed === null ? 'of DATABASE_URL' : `at ${parsed.host}${parsed.pathname}`
}

/** The server's and the driver's own words, which name users and hosts and never a password. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Runs `work`, which listens on `address`; says what to change when the port is taken. */
export async function withAddress<T>(
  address: { readonly host: string; readonly port: number },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!hasErrorCode(error, 'EADDRINUSE')) throw error
    throw new Error(
      `${address.host}, port ${address.port} is taken: end what listens there, or set PORT`,
      { cause: error },
    )
  }
}
