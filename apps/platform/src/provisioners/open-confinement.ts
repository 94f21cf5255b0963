/**
 * @module Finds out, at the start of the platform, how far this machine lets workspaces be kept
 * apart: by running what would be run (ADR-0019).
 */
import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdtemp, readlink, realpath } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { hasErrorCode } from '@atrium/http-kit/error-code'
import { AnchoredFolder } from './anchored-folder.ts'
import { DEFAULT_PATH } from './box-environment.ts'
import { boxPaths } from './box-folder.ts'
import { type Owner, userOf } from './box-user.ts'
import { bubblewrapCommand, pathInside, type SharedFiles } from './bubblewrap.ts'
import { removeTree } from './remove-tree.ts'
import { readHardLimits } from './resource-limits.ts'
import type { Confinement } from './runtime-command.ts'

export const SANDBOX_MODES = ['auto', 'on', 'off'] as const
export type SandboxMode = (typeof SANDBOX_MODES)[number]

export type SandboxOptions = {
  /** `on` fails where there is none, `auto` does without. */
  readonly mode: SandboxMode
  readonly codeRoot: string
  readonly codeFolders: readonly string[]
  readonly readable: readonly string[]
}

/** Of folders beside the boxes that are removed at once. */
export const PROBE_PREFIX = '.sandbox-probe-'

type Sandbox = NonNullable<Confinement['sandbox']>

const PROBE_TIMEOUT_MS = 15_000
const SYSTEM_FOLDERS = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'] as const
const run = promisify(execFile)

/** What was found, and why it is no more than that, in words for operators. */
export type FoundConfinement = {
  readonly confinement: Confinement
  readonly whyNoSandbox: string | undefined
}

/** Throws when the mode is `on` and no sandbox works. Leaves nothing in `baseDir`. */
export async function openConfinement(
  options: SandboxOptions & { readonly nodePath: string; readonly runtimeEntry: string },
  baseDir: string,
): Promise<FoundConfinement> {
  const prlimit = await findProgram('prlimit')
  const basis = { prlimit, hardLimits: readHardLimits() }
  if (options.mode === 'off') {
    const whyNoSandbox = 'switched off by ATRIUM_SANDBOX'
    return { confinement: { ...basis, sandbox: undefined }, whyNoSandbox }
  }
  const found = await findSandbox(options, baseDir)
  if (typeof found !== 'string') {
    return { confinement: { ...basis, sandbox: found }, whyNoSandbox: undefined }
  }
  if (options.mode === 'on') throw new Error(`ATRIUM_SANDBOX is on, but ${found}`)
  return { confinement: { ...basis, sandbox: undefined }, whyNoSandbox: found }
}

/** The tightest sandbox that works, or why none does. */
async function findSandbox(
  options: SandboxOptions & { readonly nodePath: string; readonly runtimeEntry: string },
  baseDir: string,
): Promise<Sandbox | string> {
  const bwrap = await findProgram('bwrap')
  if (bwrap === undefined) return 'bubblewrap is not installed (no bwrap on the path)'
  const setpriv = await findProgram('setpriv')
  const isRoot = process.geteuid?.() === 0
  const shared: SharedFiles = {
    ...options,
    nodePath: await realpath(options.nodePath),
    systemFolders: await readSystemFolders(),
  }
  const failures: string[] = []
  for (const hasOwnUsers of isRoot && setpriv !== undefined ? [true, false] : [false]) {
    const programs = { bwrap, setpriv: setpriv ?? '' }
    const sandbox: Sandbox = { programs, shared, hasOwnUsers, isRoot }
    const failure = await tryOut(sandbox, options, baseDir)
    if (failure === undefined) return sandbox
    failures.push(failure)
  }
  return `bubblewrap does not work here: ${failures.join('; ')}`
}

/** Reads the runtime and writes into a folder, in a box as it will be; undefined when that works. */
async function tryOut(
  sandbox: Sandbox,
  { runtimeEntry }: { readonly runtimeEntry: string },
  baseDir: string,
): Promise<string | undefined> {
  const root = await mkdtemp(join(baseDir, PROBE_PREFIX))
  try {
    const owner = sandbox.hasOwnUsers ? userOf(root) : undefined
    await makeFolders(root, owner)
    const [file = '', ...args] = [
      ...bubblewrapCommand(sandbox.programs, sandbox.shared, {
        paths: boxPaths(root, '.'),
        owner,
        isRoot: sandbox.isRoot,
      }),
      pathInside(sandbox.shared, sandbox.shared.nodePath),
      ...['--eval', "require('fs').readFileSync(process.argv[1]);require('fs').mkdirSync('probe')"],
      pathInside(sandbox.shared, runtimeEntry),
    ]
    const env = { PATH: DEFAULT_PATH }
    await run(file, args, { env, timeout: PROBE_TIMEOUT_MS, killSignal: 'SIGKILL' })
    await access(join(root, 'workspace', 'probe'))
    return undefined
  } catch (error) {
    return lastLineOf(error)
  } finally {
    await removeTree(root)
  }
}

async function makeFolders(root: string, owner: Owner | undefined): Promise<void> {
  await using folder = await AnchoredFolder.open(root)
  for (const name of ['configs', 'workspace', 'home', 'plugins', 'tmp']) {
    await using inner = await folder.openFolder(name)
    if (owner !== undefined) await inner.giveTo(owner)
  }
}

/** What the program said last, which is why it ended. */
function lastLineOf(error: unknown): string {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  const reason = error instanceof Error ? error.message : String(error)
  const [line = ''] = (said === '' ? reason : said).split('\n').slice(-1)
  return line.slice(0, 200)
}

/** Absolute and without links, by the machine's own path: never by one that a workspace may set. */
async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of DEFAULT_PATH.split(delimiter)) {
    try {
      const path = await realpath(join(folder, name))
      await access(path, constants.X_OK)
      return path
    } catch (error) {
      if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error
    }
  }
  return undefined
}

async function readSystemFolders(): Promise<ReadonlyMap<string, string | undefined>> {
  const folders = new Map<string, string | undefined>()
  for (const name of SYSTEM_FOLDERS) {
    try {
      folders.set(name, await readlink(name))
    } catch (error) {
      // EINVAL: a folder of its own, on a machine that never merged them.
      if (hasErrorCode(error, 'EINVAL')) folders.set(name, undefined)
      else if (!hasErrorCode(error, 'ENOENT')) throw error
    }
  }
  return folders
}
