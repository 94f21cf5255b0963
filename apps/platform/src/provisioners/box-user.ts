/**
 * @module The user that a sandboxed workspace runs as where the platform is root: one that nobody
 * else has, so that the kernel's own rules between users hold as well.
 */
import { createHash } from 'node:crypto'
import { lchown, lstat, readdir } from 'node:fs/promises'
import { pathBelow } from './raw-path.ts'

/** Between what systemd gives to containers and 2^31, where no distribution puts anybody. */
const FIRST_UID = 2_000_000_000
const UIDS = 100_000_000

export type Owner = { readonly uid: number; readonly gid: number }

/**
 * The workspace's own user and group, the same at every start and on every machine. Two of a
 * thousand workspaces share one with a chance of 0.5 %: they are then kept apart by mounts and
 * process ids only, like everybody's where the platform is not root.
 */
export function userOf(workspaceId: string): Owner {
  const digest = createHash('sha256').update(workspaceId).digest()
  const uid = FIRST_UID + (digest.readUInt32BE(0) % UIDS)
  return { uid, gid: uid }
}

/**
 * Gives everything below `top` to `owner`, by whatever bytes it is named; symbolic links are given
 * themselves, never followed. A file with a second name stays as it is: the other name may lie
 * elsewhere. Nobody may change the tree meanwhile: the caller has ended its processes.
 */
export async function giveContents(top: string, { uid, gid }: Owner): Promise<void> {
  const pending: Buffer[] = [Buffer.from(top)]
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const name of await readdir(folder, { encoding: 'buffer' })) {
      const path = pathBelow(folder, name)
      const stat = await lstat(path)
      if (stat.isDirectory()) pending.push(path)
      else if (stat.nlink > 1) continue
      await lchown(path, uid, gid)
    }
  }
}
