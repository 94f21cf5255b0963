/** @module Under whose name PostgreSQL runs: it refuses to run as root (ADR-0001). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, lchown, lstat, readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'

/** How a binary is started: the words before it, and the user when it is not ours. */
export type Launcher = {
  readonly name: 'same user' | 'user namespace' | 'other user'
  readonly prefix: readonly string[]
  /** Who owns the files; undefined: whoever we are, nothing to change. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined
}

/** No secret and no setting of ours reaches the server; messages are in one language. */
export const SERVER_ENVIRONMENT: Readonly<Record<string, string>> = Object.freeze({
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
})

/** The kernel stops the server when the thread that started it is gone, kill -9 included. */
const DIE_WITH_PARENT = ['setpriv', '--pdeathsig', 'INT', '--']

/** Users without a password or a shell; any of them will do, the first one that exists is taken. */
const PREFERRED_USERS = ['postgres', 'daemon', 'nobody']

/**
 * The ways to run the server here, best first. As root: a user namespace in which root's files
 * belong to an ordinary user (works below a private home such as /root), then another user.
 */
export async function launchersFor(uid: number): Promise<Launcher[]> {
  const bases: Launcher[] = []
  if (uid !== 0) bases.push({ name: 'same user', prefix: [], user: undefined })
  else {
    const user = unprivilegedUser(await readFile('/etc/passwd', 'utf8'))
    const ids = [`--map-user=${user.uid}`, `--map-group=${user.gid}`]
    bases.push(
      { name: 'user namespace', prefix: ['unshare', '--user', ...ids, '--'], user: undefined },
      { name: 'other user', prefix: [], user },
    )
  }
  return bases.flatMap((base) => [
    { ...base, prefix: [...base.prefix, ...DIE_WITH_PARENT] },
    base, // Where setpriv is missing, the next start finds and stops what a crash left behind.
  ])
}

function unprivilegedUser(passwd: string): { uid: number; gid: number } {
  // initdb asks for the name of its user id, so it must be one that exists.
  const users = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, , uid, gid]) => ({ name: name ?? '', uid: Number(uid), gid: Number(gid) }))
    .filter((user) => user.uid > 0 && user.gid > 0)
  const rank = ({ name }: { name: string }): number => {
    const index = PREFERRED_USERS.indexOf(name)
    return index < 0 ? PREFERRED_USERS.length : index
  }
  const best = users.toSorted((a, b) => rank(a) - rank(b))[0]
  if (best === undefined) throw new Error('/etc/passwd has no ordinary user to run PostgreSQL as')
  return { uid: best.uid, gid: best.gid }
}

/**
 * The first launcher that can run `binary` and write into `folder`. Hands the files over to its
 * user. Throws when none can, with what to do.
 */
export async function chooseLauncher(
  launchers: readonly Launcher[],
  binary: string,
  folder: string,
): Promise<Launcher> {
  const refusals: string[] = []
  for (const launcher of launchers) {
    await handOver(folder, launcher)
    const refusal = await probe(launcher, binary, folder)
    if (refusal === undefined) return launcher
    refusals.push(`as ${launcher.name} (${launcher.prefix[0] ?? 'directly'}): ${refusal}`)
  }
  throw new Error(
    `the embedded PostgreSQL cannot run on ${folder}:\n  ${refusals.join('\n  ')}\n` +
      'Run as an ordinary user, or choose a data folder (ATRIUM_DATA_DIR) and a checkout whose ' +
      'parent folders everybody may enter, or set DATABASE_URL to a PostgreSQL of your own.',
  )
}

/** Both halves in one: the libraries load, and the folder can be entered and written. */
const PROBE = '"$1" --version >/dev/null && cd "$2" && [ -w . ]'

async function probe(launcher: Launcher, binary: string, folder: string) {
  const [command, ...args] = [...launcher.prefix, 'sh', '-c', PROBE, 'sh', binary, folder]
  if (command === undefined) throw new Error('an empty command')
  const child = spawn(command, args, {
    ...launcher.user,
    cwd: '/',
    env: SERVER_ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(0, 500)
  })
  try {
    await once(child, 'close')
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  if (child.exitCode === 0) return undefined
  return said.trim() || `exit code ${child.exitCode ?? child.signalCode}`
}

/** Makes the files those of the launcher's user, whoever ran the server the last time. */
async function handOver(folder: string, launcher: Launcher): Promise<void> {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = launcher.user ?? { uid: 0, gid: 0 }
  if (uid !== 0) {
    // The data folder's own parent is ours and private: may be passed through, not listed.
    const parent = dirname(folder)
    const { mode } = await stat(parent)
    if ((mode & 0o001) === 0) await chmod(parent, (mode & 0o7777) | 0o001)
  }
  if ((await stat(folder)).uid !== uid) await chownTree(folder, uid, gid)
}

async function chownTree(path: string, uid: number, gid: number): Promise<void> {
  const entry = await lstat(path)
  if (entry.isDirectory()) {
    for (const name of await readdir(path)) await chownTree(join(path, name), uid, gid)
  }
  // The folder itself last: a hand-over that was cut short is seen and repeated.
  await lchown(path, uid, gid)
}
