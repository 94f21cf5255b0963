/** @module The variables of a hosted installation (contract/platform 7.10, 10); read by `config.ts`. */
import { presentVariables } from '@atrium/http-kit/present-variables'
import { Secret } from '@atrium/http-kit/secret'
import { z } from 'zod'

const DEFAULT_URL = 'https://api.moleculesai.app'

// Both go into headers, which carry nothing else as it is (RFC 9110 s5.5).
const headerValue = z
  .string()
  .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces or line breaks')
const controlPlaneUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })

/** Beside those that every platform has. */
export const CONTROL_PLANE_VARIABLES = {
  CP_PROVISION_URL: controlPlaneUrl.optional(),
  MOLECULE_CP_URL: controlPlaneUrl.optional(),
  MOLECULE_CP_SHARED_SECRET: headerValue.optional(),
  PROVISION_SHARED_SECRET: headerValue.optional(),
  CP_ADMIN_API_TOKEN: headerValue.optional(),
  MOLECULE_ORG_ID: headerValue.optional(),
} as const

type Values = z.output<z.ZodObject<typeof CONTROL_PLANE_VARIABLES>>

export type ControlPlaneConfig = {
  /** Without a trailing slash. */
  readonly baseUrl: string
  readonly orgId: string
  readonly sharedSecret: Secret | undefined
  readonly adminApiToken: Secret | undefined
}

/** Contract/platform 7.10: the first one that is set. */
export function controlPlaneUrlOf(
  values: Pick<Values, 'CP_PROVISION_URL' | 'MOLECULE_CP_URL'>,
): string {
  return (values.CP_PROVISION_URL ?? values.MOLECULE_CP_URL ?? DEFAULT_URL).replace(/\/+$/, '')
}

export function controlPlaneOf(values: Values): ControlPlaneConfig {
  return {
    baseUrl: controlPlaneUrlOf(values),
    orgId: values.MOLECULE_ORG_ID ?? '',
    sharedSecret: asSecret(values.MOLECULE_CP_SHARED_SECRET ?? values.PROVISION_SHARED_SECRET),
    adminApiToken: asSecret(values.CP_ADMIN_API_TOKEN),
  }
}

const tenantVariables = z.object({
  ATRIUM_PROVISIONER: z.literal('control-plane'),
  ADMIN_TOKEN: headerValue,
  MOLECULE_ORG_ID: headerValue,
  CP_PROVISION_URL: controlPlaneUrl.optional(),
  MOLECULE_CP_URL: controlPlaneUrl.optional(),
})

/** Where a platform asks for its configuration before it reads it; undefined when it does not. */
export function tenantSourceOf(
  env: Readonly<Record<string, string | undefined>>,
): { readonly baseUrl: string; readonly orgId: string; readonly adminToken: Secret } | undefined {
  const parsed = tenantVariables.safeParse(presentVariables(env))
  if (!parsed.success) return undefined
  const { MOLECULE_ORG_ID: orgId, ADMIN_TOKEN: adminToken } = parsed.data
  return { baseUrl: controlPlaneUrlOf(parsed.data), orgId, adminToken: new Secret(adminToken) }
}

/** What a platform lacks that is to start machines through a control plane, in words. */
export function missingForControlPlane(
  values: Values & { readonly ATRIUM_MODE: string; readonly PLATFORM_URL?: string | undefined },
): string[] {
  const hasSecret =
    values.MOLECULE_CP_SHARED_SECRET !== undefined || values.PROVISION_SHARED_SECRET !== undefined
  // Development has all of it on one machine, where the address it listens on is good enough.
  const needsUrl = values.ATRIUM_MODE !== 'development' && values.PLATFORM_URL === undefined
  const because = 'required with ATRIUM_PROVISIONER=control-plane'
  return [
    ...(hasSecret
      ? []
      : [`MOLECULE_CP_SHARED_SECRET: ${because} (or PROVISION_SHARED_SECRET, its older name)`]),
    ...(values.MOLECULE_ORG_ID === undefined
      ? [`MOLECULE_ORG_ID: ${because}: whose machines they are`]
      : []),
    ...(needsUrl
      ? [`PLATFORM_URL: ${because}: machines elsewhere cannot know where this platform listens`]
      : []),
  ]
}

function asSecret(value: string | undefined): Secret | undefined {
  return value === undefined ? undefined : new Secret(value)
}
