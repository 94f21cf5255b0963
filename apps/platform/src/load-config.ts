/** @module The configuration of this start: the environment, and what a control plane adds to it. */
import { ConfigError } from '@atrium/http-kit/config-error'
import type { Secret } from '@atrium/http-kit/secret'
import { type Config, parseConfig } from './config.ts'
import { tenantSourceOf } from './control-plane-config.ts'
import { fetchTenantConfig, tenantValues } from './provisioners/control-plane/tenant-config.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** For the log, once there is one. */
export type TenantReport =
  | { readonly kind: 'none' }
  | { readonly kind: 'applied'; readonly names: readonly string[]; readonly ignored: number }
  | { readonly kind: 'unavailable'; readonly error: unknown }
  | { readonly kind: 'refused'; readonly reason: string }

export type LoadedConfig = { readonly config: Config; readonly tenant: TenantReport }

type Fetch = (source: {
  readonly baseUrl: string
  readonly orgId: string
  readonly adminToken: Secret
}) => Promise<unknown>

/**
 * Best effort: a control plane that is away, or that says what no platform can start with, changes
 * nothing. Throws `ConfigError` for the environment alone.
 */
export async function loadConfig(
  env: Environment,
  fetchConfig: Fetch = fetchTenantConfig,
): Promise<LoadedConfig> {
  const source = tenantSourceOf(env)
  if (source === undefined) return { config: parseConfig(env), tenant: { kind: 'none' } }
  let document: unknown
  try {
    document = await fetchConfig(source)
  } catch (error) {
    return { config: parseConfig(env), tenant: { kind: 'unavailable', error } }
  }
  const told = tenantValues(document)
  if (told === undefined) {
    return {
      config: parseConfig(env),
      tenant: { kind: 'refused', reason: 'not a map of variables' },
    }
  }
  try {
    const config = parseConfig({ ...env, ...told.values })
    const names = Object.keys(told.values)
    return { config, tenant: { kind: 'applied', names, ignored: told.ignored } }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    // The environment alone may do; when it does not, its own problems are what counts.
    return { config: parseConfig(env), tenant: { kind: 'refused', reason: error.message } }
  }
}
