/** @module The variables of what every request meets first (ADR-0021); read by `config.ts`. */
import { z } from 'zod'
import { isAddressRange } from './domain/ip-address.ts'

const DEFAULT_RATE_LIMIT = 600

/** Beside those that every platform has. */
export const EDGE_VARIABLES = {
  CORS_ORIGINS: z
    .string()
    .default('http://localhost:3000,http://localhost:3001')
    .transform(entriesOf),
  RATE_LIMIT: z.coerce.number().int().positive().default(DEFAULT_RATE_LIMIT),
  ATRIUM_TRUSTED_PROXIES: z
    .string()
    .default('')
    .transform(entriesOf)
    .refine(
      (ranges) => ranges.every(isAddressRange),
      'must be addresses and CIDR ranges, separated by commas',
    ),
  MOLECULE_ORG_SLUG: z.string().min(1).optional(),
  CP_UPSTREAM_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
    .optional(),
} as const

type Values = z.output<z.ZodObject<typeof EDGE_VARIABLES>>

export type EdgeConfig = {
  /** Origins of web pages that may use the platform. */
  readonly allowedOrigins: readonly string[]
  /** Requests of one party in a minute. */
  readonly rateLimit: number
  readonly trustedProxies: readonly string[]
  /** undefined: requests for every organisation are this platform's. */
  readonly orgId: string | undefined
  /** Who says whose session a cookie is; undefined: cookies say nothing. */
  readonly sessions: { readonly controlPlaneUrl: string; readonly orgSlug: string } | undefined
}

export function edgeOf(
  values: Values & { readonly MOLECULE_ORG_ID?: string | undefined },
): EdgeConfig {
  const { CP_UPSTREAM_URL: url, MOLECULE_ORG_SLUG: orgSlug } = values
  return {
    allowedOrigins: values.CORS_ORIGINS,
    rateLimit: values.RATE_LIMIT,
    trustedProxies: values.ATRIUM_TRUSTED_PROXIES,
    orgId: values.MOLECULE_ORG_ID,
    sessions:
      url === undefined || orgSlug === undefined
        ? undefined
        : { controlPlaneUrl: url.replace(/\/+$/, ''), orgSlug },
  }
}

/** The entries of a comma-separated list. */
function entriesOf(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}
