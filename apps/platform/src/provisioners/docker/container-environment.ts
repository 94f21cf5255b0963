/** @module The environment of a container, built from nothing (contract/platform 7.5). */
import { DEFAULT_RUNTIME_PORT, RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import type { StartInput } from '../provisioner.ts'
import { VOLUME_PLACES } from './box-names.ts'

/** The engine's own name for the machine it runs on, as seen from a container. */
export const HOST_ALIAS = 'host.docker.internal'

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]', '0.0.0.0'])

/**
 * What the platform says about the box wins over a workspace's own variables. The engine shows all of
 * it to whoever may ask the engine: credentials are files, and never in here.
 */
export function containerEnvironment(
  input: Pick<StartInput, 'workspaceId' | 'env' | 'secretEnv'>,
  platformUrl: string | undefined,
): readonly string[] {
  const environment: Record<string, string> = { LANG: 'C.UTF-8' }
  for (const [name, secret] of Object.entries(input.secretEnv)) environment[name] = secret.reveal()
  Object.assign(environment, input.env, {
    HOME: VOLUME_PLACES.home,
    [RUNTIME_ENV.workspaceId]: input.workspaceId,
    [RUNTIME_ENV.configPath]: VOLUME_PLACES.configs,
    [RUNTIME_ENV.configsDir]: VOLUME_PLACES.configs,
    [RUNTIME_ENV.pluginsDir]: VOLUME_PLACES.plugins,
    [RUNTIME_ENV.listenHost]: '0.0.0.0',
    [RUNTIME_ENV.listenPort]: String(DEFAULT_RUNTIME_PORT),
  })
  // Roots of its own would lead it away from its volumes.
  delete environment[RUNTIME_ENV.rootsDir]
  for (const name of [RUNTIME_ENV.platformUrl, RUNTIME_ENV.platformUrlAlias]) {
    const url = platformUrl ?? environment[name]
    if (url !== undefined) environment[name] = platformUrl ?? fromInside(url)
  }
  return Object.entries(environment).map(([name, value]) => variable(name, value))
}

/** Loopback is another machine inside a container: its host has a name there. */
export function fromInside(url: string): string {
  const parsed = URL.parse(url)
  if (parsed === null || !LOOPBACK.has(parsed.hostname)) return url
  parsed.hostname = HOST_ALIAS
  return parsed.href.replace(/\/$/, '')
}

function variable(name: string, value: string): string {
  // The name only: the value may be a secret.
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name) || value.includes('\0')) {
    throw new Error(`environment variable ${JSON.stringify(name.slice(0, 64))} cannot be set`)
  }
  return `${name}=${value}`
}
