/** @module A folder of any size, page by page: never more than one of them in memory. */
import { MAX_LIST_ENTRIES } from '@atrium/runtime-contract/file-inspection'
import { CliFailure, EXIT } from '../failure.ts'
import {
  type InspectContext,
  type InspectedEntry,
  type InspectedPage,
  type InspectedPlace,
  listFolder,
  nameBytesOf,
} from '../platform/inspected-files.ts'

/**
 * The entries of a folder in the order of their names, at most `limit` of them. Throws when a page
 * does not begin behind the one before: a workspace that repeats itself would never end.
 */
export async function* folderPages(
  context: InspectContext,
  place: InspectedPlace,
  limit: number,
): AsyncGenerator<readonly InspectedEntry[]> {
  let rest = limit
  let cursor: string | undefined
  let lastName: Buffer | undefined
  do {
    const page = await listFolder(context, place, {
      limit: Math.min(rest, MAX_LIST_ENTRIES),
      cursor,
    })
    assertMovesOn(page, { cursor, lastName })
    const entries = page.entries.slice(0, rest)
    yield entries
    rest -= entries.length
    const last = page.entries.at(-1)
    if (last !== undefined) lastName = nameBytesOf(last)
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined && rest > 0)
}

type Reached = { readonly cursor: string | undefined; readonly lastName: Buffer | undefined }

function assertMovesOn(page: InspectedPage, reached: Reached): void {
  const [first] = page.entries
  const isBehind =
    first === undefined ||
    reached.lastName === undefined ||
    Buffer.compare(nameBytesOf(first), reached.lastName) > 0
  const isSameCursor = page.next_cursor !== null && page.next_cursor === reached.cursor
  if (isBehind && !isSameCursor) return
  throw new CliFailure(EXIT.failed, 'the workspace answered with the same entries again')
}
