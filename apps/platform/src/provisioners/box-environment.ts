/** @module The environment of a box, built from nothing: the platform's own never reaches it. */
import { dirname } from 'node:path'
import { BOX_MARKER_ENV, RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import type { BoxPaths } from './box-folder.ts'
import type { StartInput } from './provisioner.ts'

/** What a box takes over from the platform's environment, and nothing else. */
export const INHERITED_NAMES = ['PATH', 'LANG', 'TZ'] as const
export type InheritedEnv = Readonly<Partial<Record<(typeof INHERITED_NAMES)[number], string>>>

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export type BoxEnvironmentOptions = {
  readonly paths: BoxPaths
  readonly listenHost: string
  readonly nodePath: string
  readonly inheritedEnv: InheritedEnv
  /** Whether the box sees its folders where a container has them. */
  readonly hasWirePaths?: boolean
}

/**
 * Contract/platform 7.5, with the real folders where a container has `/configs` and `/plugins`: a
 * command that the agent runs opens them as they stand here. What the platform says about the box
 * wins over a workspace's own variables. Throws on a name or value no process can have.
 */
export function boxEnvironment(
  options: BoxEnvironmentOptions,
  input: Pick<StartInput, 'workspaceId' | 'env' | 'secretEnv'>,
): Readonly<Record<string, string>> {
  const { paths, inheritedEnv } = options
  const environment: Record<string, string> = {
    PATH: `${dirname(options.nodePath)}:${DEFAULT_PATH}`,
    LANG: 'C.UTF-8',
  }
  for (const name of INHERITED_NAMES) {
    const value = inheritedEnv[name]
    if (value !== undefined && value !== '') environment[name] = value
  }
  for (const [name, secret] of Object.entries(input.secretEnv)) environment[name] = secret.reveal()
  // Without one, the four roots are where the wire says (contract/runtime 0).
  delete environment[RUNTIME_ENV.rootsDir]
  Object.assign(environment, input.env, placesOf(options), {
    [RUNTIME_ENV.workspaceId]: input.workspaceId,
    [RUNTIME_ENV.listenHost]: options.listenHost,
    [RUNTIME_ENV.listenPort]: '0',
    [BOX_MARKER_ENV]: paths.root,
  })
  for (const [name, value] of Object.entries(environment)) assertVariable(name, value)
  return environment
}

function placesOf({ paths, hasWirePaths }: BoxEnvironmentOptions): Record<string, string> {
  const isOnWire = hasWirePaths === true
  const configs = isOnWire ? '/configs' : paths.configs
  return {
    HOME: isOnWire ? '/home' : paths.home,
    TMPDIR: isOnWire ? '/tmp' : paths.temporary,
    [RUNTIME_ENV.configPath]: configs,
    [RUNTIME_ENV.configsDir]: configs,
    [RUNTIME_ENV.pluginsDir]: isOnWire ? '/plugins' : paths.plugins,
    ...(isOnWire ? {} : { [RUNTIME_ENV.rootsDir]: paths.root }),
  }
}

function assertVariable(name: string, value: string): void {
  // The name only: the value may be a secret.
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name) || value.includes('\0')) {
    throw new Error(`environment variable ${JSON.stringify(name.slice(0, 64))} cannot be set`)
  }
}
