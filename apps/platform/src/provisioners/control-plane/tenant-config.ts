/** @module What a control plane may say about the platform's own configuration (contract/platform 7.10). */
import type { Secret } from '@atrium/http-kit/secret'
import { z } from 'zod'
import { ControlPlaneClient } from './control-plane-client.ts'

/**
 * Nothing else is taken from it: not who is admitted, where the database is, what encrypts, which
 * addresses may be called, nor anything that Node or a library reads. What is here it could bring
 * about anyway, as the owner of the machines.
 */
export const TENANT_VARIABLES = [
  'MOLECULE_CP_SHARED_SECRET',
  'PROVISION_SHARED_SECRET',
  'CP_ADMIN_API_TOKEN',
  'ATRIUM_CP_TIMEOUT_MS',
  'PLATFORM_URL',
  'ATRIUM_MAX_FILE_BYTES',
  'ATRIUM_MAX_REQUEST_BYTES',
  'ATRIUM_MAX_FILES',
  'ATRIUM_HEADERS_TIMEOUT_MS',
  'ATRIUM_AGENT_TIMEOUT_MS',
  'ATRIUM_LIVENESS_STALE_AFTER',
] as const

const MAX_VALUE_BYTES = 4 * 1024
const DEADLINE_MS = 10_000

export type TenantValues = {
  readonly values: Readonly<Record<string, string>>
  /** How many members were left out: not ours to take, not text, or too long. */
  readonly ignored: number
}

const tenantDocument = z.record(z.string(), z.unknown())

/** The part of the document that counts; undefined when it is none at all. */
export function tenantValues(document: unknown): TenantValues | undefined {
  const parsed = tenantDocument.safeParse(document)
  if (!parsed.success) return undefined
  const names: ReadonlySet<string> = new Set(TENANT_VARIABLES)
  const values: Record<string, string> = {}
  let ignored = 0
  for (const [name, value] of Object.entries(parsed.data)) {
    const isText = typeof value === 'string' && Buffer.byteLength(value) <= MAX_VALUE_BYTES
    if (isText && names.has(name)) values[name] = value
    else ignored += 1
  }
  return { values, ignored }
}

/** Asks once, for ten seconds at most. Throws what the client throws. */
export async function fetchTenantConfig(source: {
  readonly baseUrl: string
  readonly orgId: string
  readonly adminToken: Secret
  readonly timeoutMs?: number
}): Promise<unknown> {
  const client = new ControlPlaneClient({
    timeoutMs: DEADLINE_MS,
    ...source,
    sharedSecret: undefined,
    adminApiToken: undefined,
  })
  try {
    return await client.tenantConfig(new AbortController().signal)
  } finally {
    await client.close()
  }
}
