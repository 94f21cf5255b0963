/**
 * @module Everything in a folder, depth first, each judged as an opened object (design/path-safety 1):
 * one descriptor for each folder on the way down, names read in pieces in the file system's order.
 * Links, pipes, sockets and devices are left out, and what a read refuses is as well.
 */
import { closeSync, constants } from 'node:fs'
import { type FolderPath, isHiddenEntry } from '@atrium/path-safety/workspace-path'
import type { ArchiveEntry } from './archive-entry.ts'
import { ArchiveLevel, type NamedEntry } from './archive-level.ts'
import { ArchiveLimitError, type ArchiveLimits } from './archive-limits.ts'
import { archiveName } from './archive-name.ts'
import type { ContainedRoots } from './contained-roots.ts'
import { type ByteName, bytesOf, reopen, statOf, textOf } from './descriptor.ts'
import type { OpenedFile } from './open-contained-file.ts'
import type { OpenedFolder } from './open-contained-folder.ts'

export type ArchiveWalk = {
  readonly roots: ContainedRoots
  readonly path: FolderPath
  /** What `path` names. Stays the caller's to close. */
  readonly folder: Pick<OpenedFolder, 'fd'>
  /** What the folder is called in the archive. */
  readonly name: string
  readonly limits: ArchiveLimits
  /** Called before each name, what is left out included; throws when nobody wants the rest. */
  readonly onStep: () => void
}

export type ArchivedFile = Pick<OpenedFile, 'fd' | 'size' | 'mtimeNs'>

/** `file` is open until the next entry is asked for. */
export type WalkedEntry = {
  readonly entry: ArchiveEntry
  readonly file: ArchivedFile | undefined
}

/**
 * The folder itself, then what is in it. Throws `archive_too_large` before the entry that would be
 * too much, `archive_failed` when a folder moves away, and the system's error for what cannot be read.
 */
export async function* walkArchive(walk: ArchiveWalk): AsyncGenerator<WalkedEntry, void> {
  const tally = new Tally(walk.limits)
  const levels: ArchiveLevel[] = []
  try {
    const first = await openFirst(walk)
    levels.push(first)
    yield { entry: tally.count(folderEntry(first.archivePath, statOf(first.fd))), file: undefined }
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      walk.onStep()
      const name = await level.nextName()
      if (name === undefined) {
        levels.pop()
        await level.close()
        continue
      }
      const found = await judge(walk, level, name)
      if (found === undefined) {
        tally.leaveOut()
        continue
      }
      if (found.kind === 'folder') {
        const inner = await openInner(walk, levels, { name, fd: found.fd })
        yield { entry: tally.count(folderEntry(inner.archivePath, found.stat)), file: undefined }
      } else {
        yield* walkFile(found, level, { name, tally })
      }
    }
  } finally {
    for (const level of levels.reverse()) await level.close()
  }
}

async function openFirst({ roots, path, folder, name }: ArchiveWalk): Promise<ArchiveLevel> {
  const parts = [roots.find(path.root)?.realPath ?? '', ...path.segments]
  return ArchiveLevel.open({
    fd: await reopen(folder.fd, constants.O_RDONLY | constants.O_DIRECTORY),
    realPath: bytesOf(parts.join('/')),
    segments: path.segments,
    archivePath: `${name}/`,
  })
}

type Judged = NamedEntry & { readonly kind: 'folder' | 'file' }

/** What the archive shows under that name; undefined when it shows nothing. The caller closes it. */
async function judge(
  { roots, path: { root } }: ArchiveWalk,
  level: ArchiveLevel,
  name: ByteName,
): Promise<Judged | undefined> {
  if (isHiddenEntry({ root, segments: level.segments }, textOf(name))) return undefined
  const found = await level.find(name)
  if (found === undefined) return undefined
  const { stat } = found
  if (stat.isDirectory()) return { ...found, kind: 'folder' }
  const isShown =
    stat.isFile() && !roots.isCredential(stat) && !(root === 'configs' && stat.nlink > 1n)
  if (isShown) return { ...found, kind: 'file' }
  closeSync(found.fd)
  return undefined
}

/** Takes `fd` over. */
async function openInner(
  { limits }: ArchiveWalk,
  levels: ArchiveLevel[],
  { name, fd }: { readonly name: ByteName; readonly fd: number },
): Promise<ArchiveLevel> {
  const outer = levels.at(-1)
  if (outer === undefined || levels.length >= limits.maxDepth) {
    closeSync(fd)
    throw new ArchiveLimitError('depth')
  }
  const inner = await ArchiveLevel.open({
    fd,
    realPath: outer.realPathOf(name),
    segments: [...outer.segments, textOf(name)],
    archivePath: `${outer.archivePath}${archiveName(name)}/`,
  })
  levels.push(inner)
  return inner
}

async function* walkFile(
  named: NamedEntry,
  level: ArchiveLevel,
  { name, tally }: { readonly name: ByteName; readonly tally: Tally },
): AsyncGenerator<WalkedEntry, void> {
  let fd: number
  try {
    fd = await reopen(named.fd, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } finally {
    closeSync(named.fd)
  }
  try {
    const { size, mtimeNs, mode } = statOf(fd)
    const file = { fd, size: Number(size), mtimeNs }
    const entry = tally.count({
      path: `${level.archivePath}${archiveName(name)}`,
      kind: 'file',
      size: file.size,
      mode: Number(mode) & PERMISSIONS,
      mtimeSeconds: secondsOf(mtimeNs),
    })
    yield { entry, file }
  } finally {
    closeSync(fd)
  }
}

const PERMISSIONS = 0o777

type FolderStat = { readonly mode: bigint; readonly mtimeNs: bigint }

function folderEntry(path: string, { mode, mtimeNs }: FolderStat): ArchiveEntry {
  return {
    path,
    kind: 'folder',
    size: 0,
    mode: Number(mode) & PERMISSIONS,
    mtimeSeconds: secondsOf(mtimeNs),
  }
}

/** What is older than 1970 has no spelling in a ustar header. */
function secondsOf(mtimeNs: bigint): number {
  return mtimeNs < 0n ? 0 : Number(mtimeNs / 1_000_000_000n)
}

/** Counts what goes into the archive and what does not, and refuses what would be too much. */
class Tally {
  readonly #limits: ArchiveLimits
  #entries = 0
  #leftOut = 0
  #bytes = 0

  constructor(limits: ArchiveLimits) {
    this.#limits = limits
  }

  count(entry: ArchiveEntry): ArchiveEntry {
    this.#entries += 1
    this.#bytes += entry.size
    if (this.#entries > this.#limits.maxEntries) throw new ArchiveLimitError('entries')
    if (this.#bytes > this.#limits.maxBytes) throw new ArchiveLimitError('bytes')
    return entry
  }

  /** A folder of links only would otherwise be walked for as long as it is large. */
  leaveOut(): void {
    this.#leftOut += 1
    if (this.#leftOut > this.#limits.maxEntries) throw new ArchiveLimitError('entries left out')
  }
}
