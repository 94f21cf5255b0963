/**
 * @module How the runtime of a box is started: limits, then the sandbox where there is one, then
 * Node.
 */
import { dirname } from 'node:path'
import { BOX_MARKER_ENV } from '@atrium/runtime-contract/environment'
import { boxEnvironment, DEFAULT_PATH, type InheritedEnv } from './box-environment.ts'
import type { BoxPaths } from './box-folder.ts'
import { type Owner, userOf } from './box-user.ts'
import {
  bubblewrapCommand,
  pathInside,
  type SandboxPrograms,
  type SharedFiles,
} from './bubblewrap.ts'
import type { Isolation, StartInput } from './provisioner.ts'
import { type HardLimits, limitArguments } from './resource-limits.ts'

/** How far the boxes of this platform are kept apart, found out once. */
export type Confinement = {
  /** undefined where the machine has no `prlimit`. */
  readonly prlimit: string | undefined
  readonly hardLimits: HardLimits
  readonly sandbox:
    | {
        readonly programs: SandboxPrograms
        readonly shared: SharedFiles
        /** Root gives every workspace a user of its own, where the kernel lets it. */
        readonly hasOwnUsers: boolean
        readonly isRoot: boolean
      }
    | undefined
}

export type RuntimeCommand = {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Variables that the runtime reads from descriptor 4 before anything else; undefined: none. */
  readonly pipedEnv: Readonly<Record<string, string>> | undefined
  readonly isolation: Isolation
}

export type RuntimeCommandOptions = {
  readonly confinement: Confinement
  readonly paths: BoxPaths
  readonly nodePath: string
  readonly runtimeEntry: string
  readonly listenHost: string
  readonly inheritedEnv: InheritedEnv
}

/**
 * The young generation stays small: what an upload leaves behind for every piece is then collected
 * every few MiB instead of every 60; interleaved runs show no loss of speed (ADR-0017).
 */
const NODE_FLAGS = ['--max-semi-space-size=1'] as const

/** Runs before the runtime's first module. A pipe, because arguments are everybody's to read. */
const TAKE_PIPED_ENV = `data:text/javascript,${encodeURIComponent(
  "import{closeSync,readFileSync}from'node:fs';" +
    "Object.assign(process.env,JSON.parse(readFileSync(4,'utf8')));closeSync(4)",
)}`

/** Whom the files of a box belong to: the platform's own user unless it has one of its own. */
export function ownerOf({ sandbox }: Confinement, workspaceId: string): Owner | undefined {
  return sandbox?.hasOwnUsers === true ? userOf(workspaceId) : undefined
}

/** Throws on a variable that no process can have. */
export function runtimeCommand(
  options: RuntimeCommandOptions,
  input: Pick<StartInput, 'workspaceId' | 'env' | 'secretEnv' | 'tier'>,
): RuntimeCommand {
  const { confinement } = options
  const { sandbox } = confinement
  const [command, env] =
    sandbox === undefined
      ? [plainCommand(options), boxEnvironment(options, input)]
      : [sandboxedCommand(options, sandbox, input), sandboxedEnvironment(options, sandbox, input)]
  const hasOwnUser = sandbox?.hasOwnUsers ?? false
  const limited =
    confinement.prlimit === undefined
      ? command
      : [
          confinement.prlimit,
          ...limitArguments(input.tier, confinement.hardLimits, hasOwnUser),
          '--',
          ...command,
        ]
  const [file = '', ...args] = limited
  if (sandbox === undefined) {
    const cwd = options.paths.workspace
    return { file, args, cwd, env, pipedEnv: undefined, isolation: 'process' }
  }
  const outside = { PATH: DEFAULT_PATH, LANG: 'C.UTF-8', [BOX_MARKER_ENV]: options.paths.root }
  return { file, args, cwd: '/', env: outside, pipedEnv: env, isolation: 'sandbox' }
}

function plainCommand({ nodePath, runtimeEntry }: RuntimeCommandOptions): readonly string[] {
  return [nodePath, ...NODE_FLAGS, runtimeEntry]
}

type Sandbox = NonNullable<Confinement['sandbox']>

function sandboxedCommand(
  options: RuntimeCommandOptions,
  sandbox: Sandbox,
  { workspaceId }: Pick<StartInput, 'workspaceId'>,
): readonly string[] {
  const { programs, shared, isRoot } = sandbox
  const owner = ownerOf(options.confinement, workspaceId)
  return [
    ...bubblewrapCommand(programs, shared, { paths: options.paths, owner, isRoot }),
    pathInside(shared, options.nodePath),
    ...NODE_FLAGS,
    ...['--import', TAKE_PIPED_ENV],
    pathInside(shared, options.runtimeEntry),
  ]
}

function sandboxedEnvironment(
  options: RuntimeCommandOptions,
  { shared }: Sandbox,
  input: Pick<StartInput, 'workspaceId' | 'env' | 'secretEnv'>,
): Readonly<Record<string, string>> {
  const nodePath = pathInside(shared, options.nodePath)
  const { PATH = DEFAULT_PATH } = options.inheritedEnv
  const inheritedEnv = { ...options.inheritedEnv, PATH: `${dirname(nodePath)}:${PATH}` }
  return boxEnvironment({ ...options, nodePath, inheritedEnv, hasWirePaths: true }, input)
}
