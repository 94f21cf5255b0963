/** @module What archives of workspaces may hold: read by `config.ts`, and meant for the runtimes. */
import { ARCHIVE_LIMITS_ENV } from '@atrium/runtime-contract/environment'
import { z } from 'zod'

const limit = (name: keyof typeof ARCHIVE_LIMITS_ENV) =>
  z.coerce.number().int().positive().max(ARCHIVE_LIMITS_ENV[name]).optional()

/** Judged here as well: a runtime that is given a wrong one does not start. */
export const ARCHIVE_VARIABLES = {
  ATRIUM_ARCHIVE_MAX_ENTRIES: limit('ATRIUM_ARCHIVE_MAX_ENTRIES'),
  ATRIUM_ARCHIVE_MAX_BYTES: limit('ATRIUM_ARCHIVE_MAX_BYTES'),
  ATRIUM_ARCHIVE_MAX_DEPTH: limit('ATRIUM_ARCHIVE_MAX_DEPTH'),
  ATRIUM_ARCHIVE_MAX_CONCURRENT: limit('ATRIUM_ARCHIVE_MAX_CONCURRENT'),
} as const

type Values = z.output<z.ZodObject<typeof ARCHIVE_VARIABLES>>

/** Those that are set, as a runtime reads them. */
export function archiveLimitsOf(values: Values): Readonly<Record<string, string>> {
  const { data = {} } = z.object(ARCHIVE_VARIABLES).safeParse(values)
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, String(value)]))
}
