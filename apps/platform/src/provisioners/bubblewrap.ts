/**
 * @module The command line of bubblewrap for one box (bwrap(1)): what it sees, and nothing else.
 * Pure. Whatever runs before the workspace's user is set gets nothing of the workspace's: no
 * variable (a loader would obey it as root) and no secret in the arguments.
 */
import { dirname, join, relative, sep } from 'node:path'
import { ALLOWED_ROOTS } from '@atrium/path-safety/workspace-path'
import type { BoxPaths } from './box-folder.ts'
import type { Owner } from './box-user.ts'

/** Where the platform's code lies inside: the machine's own layout is nobody's business. */
const CODE_ROOT = '/opt/atrium'

/** What a box shares with the machine, read-only. */
export type SharedFiles = {
  readonly nodePath: string
  readonly runtimeEntry: string
  /** The platform's checkout, and the folders of it that a runtime needs, relative to it. */
  readonly codeRoot: string
  readonly codeFolders: readonly string[]
  /** More that an operator lets every workspace read, at its own path. */
  readonly readable: readonly string[]
  /** `/bin`, `/lib` and the like: where they lead, or undefined for a folder of its own. */
  readonly systemFolders: ReadonlyMap<string, string | undefined>
}

export type SandboxPrograms = {
  readonly bwrap: string
  /** Sets the user; needed only where the platform is root. */
  readonly setpriv: string
}

/** What of `/etc` a program without rights reads anyway; no shadow, no host keys. */
const ETC = [
  'alternatives',
  'ca-certificates',
  'group',
  'host.conf',
  'hosts',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'localtime',
  'nsswitch.conf',
  'passwd',
  'pki',
  'resolv.conf',
  'ssl',
  'timezone',
] as const

/**
 * The arguments after which the program to run follows. `owner` undefined: the platform has no
 * power to set another user, and the box keeps its own without any capability.
 */
export function bubblewrapCommand(
  programs: SandboxPrograms,
  shared: SharedFiles,
  box: { readonly paths: BoxPaths; readonly owner: Owner | undefined; readonly isRoot: boolean },
): readonly string[] {
  return [
    programs.bwrap,
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...(box.isRoot ? [] : ['--unshare-user']),
    ...['--die-with-parent', '--new-session', '--hostname', 'workspace'],
    ...capabilities(box),
    // Before what is shared: that may lie below /tmp, as in a checkout for a try.
    ...['--proc', '/proc', '--dev', '/dev', '--dir', '/run', '--bind', box.paths.temporary, '/tmp'],
    ...machineMounts(shared),
    ...ALLOWED_ROOTS.flatMap((root) => ['--bind', box.paths[root], `/${root}`]),
    // Last: nothing may be put in their place. The root itself is memory that nobody should fill.
    ...['--remount-ro', '/', '--chdir', '/workspace', '--'],
    ...(box.owner === undefined ? [] : userCommand(programs, box.owner)),
  ]
}

/** `setpriv` needs these and gives them away, with everything else, for good. */
function capabilities(box: { readonly owner: Owner | undefined; readonly isRoot: boolean }) {
  if (!box.isRoot) return []
  const kept =
    box.owner === undefined
      ? []
      : // The last one to enter `/workspace`, which belongs to the workspace's user.
        ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP', 'CAP_DAC_OVERRIDE']
  return ['--cap-drop', 'ALL', ...kept.flatMap((name) => ['--cap-add', name])]
}

function userCommand(programs: SandboxPrograms, { uid, gid }: Owner): readonly string[] {
  return [
    ...[programs.setpriv, `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
    ...['--inh-caps=-all', '--bounding-set=-all', '--no-new-privs', '--'],
  ]
}

function machineMounts(shared: SharedFiles): readonly string[] {
  const code = shared.codeFolders.map((folder) => [
    join(shared.codeRoot, folder),
    join(CODE_ROOT, folder),
  ])
  const kept = [
    ...ETC.map((name) => [`/etc/${name}`, `/etc/${name}`]),
    ...shared.readable.map((path) => [path, path]),
    // At its own place as well: an agent's command may name it as the operator's shell does.
    [shared.nodePath, shared.nodePath],
    [shared.nodePath, pathInside(shared, shared.nodePath)],
  ].filter(([source = '']) => !isBelow('/usr', source))
  const own = [...kept, ...code]
  const folders = new Set(own.flatMap(([, target = '/']) => ancestorsOf(target)))
  return [
    ...['--ro-bind', '/usr', '/usr'],
    ...[...shared.systemFolders].flatMap(([name, target]) =>
      target === undefined ? ['--ro-bind', name, name] : ['--symlink', target, name],
    ),
    // Folders that bubblewrap makes by itself on the way are closed to everybody but root.
    ...[...folders].sort().flatMap((folder) => ['--dir', folder]),
    ...own.flatMap(([source = '', target = '']) => ['--ro-bind-try', source, target]),
  ]
}

/** Where a program of the machine is found inside. */
export function pathInside(
  shared: Pick<SharedFiles, 'codeRoot' | 'codeFolders'>,
  path: string,
): string {
  const folder = shared.codeFolders.find((name) => isBelow(join(shared.codeRoot, name), path))
  if (folder !== undefined) return join(CODE_ROOT, relative(shared.codeRoot, path))
  return isBelow('/usr', path) ? path : join(CODE_ROOT, 'bin', 'node')
}

function isBelow(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder + sep)
}

function ancestorsOf(path: string): readonly string[] {
  const above: string[] = []
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) above.push(folder)
  return above
}
