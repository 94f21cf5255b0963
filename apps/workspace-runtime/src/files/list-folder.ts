/** @module One page of a folder, by a path on the wire or in a session's folder. */
import { AppError } from '@atrium/http-kit/app-error'
import { NOT_FOUND_TEXT, type SessionId, type SessionPath } from '@atrium/path-safety/session-path'
import type { FolderPath } from '@atrium/path-safety/workspace-path'
import type { FolderEntry, FolderPage } from '@atrium/runtime-contract/file-inspection'
import type { ListPage } from '@atrium/runtime-contract/inspection-query'
import type { ContainedRoots } from './contained-roots.ts'
import type { FilePlane } from './file-plane.ts'
import type { EntriesPage } from './folder-listing.ts'
import type { OpenedFolder } from './open-contained-folder.ts'
import { MAX_WALKS } from './walk-contained.ts'

type Files = Pick<FilePlane, 'listing'> & {
  readonly roots: Pick<ContainedRoots, 'openFolder' | 'openSessionFolder'>
}
type Asked = { readonly page: ListPage; readonly signal: AbortSignal }

/** Throws what `ContainedRoots.openFolder` and `FolderListing.page` throw. */
export async function listFolder(
  { roots, listing }: Files,
  path: FolderPath,
  { page, signal }: Asked,
): Promise<FolderPage> {
  const open = (): Promise<OpenedFolder> => roots.openFolder(path, signal)
  const entries = await listInPlace(open, (folder) => listing.page(folder, page, signal))
  if (entries === undefined) throw new AppError('file_not_found')
  return { path: path.text, ...entries }
}

/** The same with `ContainedRoots.openSessionFolder`. */
export async function listSessionFolder(
  { roots, listing }: Files,
  { session, path }: { readonly session: SessionId; readonly path: SessionPath },
  { page, signal }: Asked,
): Promise<FolderPage> {
  const open = (): Promise<OpenedFolder> => roots.openSessionFolder({ session, path, signal })
  const found = await listInPlace(open, (folder) => listing.page(folder, page, signal))
  if (found === undefined) {
    throw new AppError('not_found', { message: NOT_FOUND_TEXT })
  }
  return { path: path.echo, ...found, entries: found.entries.map(asInSession) }
}

/** A folder that was led out of its place while it was listed is opened again; an entry of it may have been made there. */
async function listInPlace(
  open: () => Promise<OpenedFolder>,
  list: (folder: OpenedFolder) => Promise<EntriesPage>,
): Promise<EntriesPage | undefined> {
  for (let walk = 0; walk < MAX_WALKS; walk += 1) {
    const folder = await open()
    try {
      const entries = await list(folder)
      if (folder.isInPlace()) return entries
    } finally {
      folder.close()
    }
  }
  return undefined
}

/** Contract/runtime 20.3: "anything not dir/symlink is file". */
function asInSession(entry: FolderEntry): FolderEntry {
  return entry.type === 'other' ? { ...entry, type: 'file' } : entry
}
