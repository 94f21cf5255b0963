/** @module `atrium files ls`. */
import type { CommandContext } from '../command-context.ts'
import { folderLines, type LineStyle } from '../files/folder-lines.ts'
import { folderPages } from '../files/folder-pages.ts'
import { nameBytesOf } from '../platform/inspected-files.ts'
import { findPlace, type PlaceOptions } from './files-place.ts'

export type ListFilesOptions = PlaceOptions & {
  readonly long: boolean
  readonly classify: boolean
  readonly slash: boolean
  readonly zero: boolean
  readonly bytes: boolean
  readonly limit?: number
}

function marksOf(isForTerminal: boolean, options: ListFilesOptions): LineStyle['marks'] {
  if (options.classify) return 'all'
  if (options.slash) return 'folders'
  return isForTerminal ? 'all' : 'none'
}

function styleOf({ terminal }: CommandContext, options: ListFilesOptions): LineStyle {
  const isForTerminal = terminal.stdout.isTTY === true
  return {
    isLong: options.long,
    isExact: options.bytes,
    marks: marksOf(isForTerminal, options),
    isForTerminal,
    end: options.zero ? '\0' : '\n',
  }
}

/** Lists a folder as it comes: a page is out before the next is asked for. */
export async function listFilesCommand(
  context: CommandContext,
  location: string,
  options: ListFilesOptions,
): Promise<void> {
  const { terminal } = context
  const place = await findPlace(context, location, options)
  const style = styleOf(context, options)
  for await (const page of folderPages(context, place, options.limit ?? Number.MAX_SAFE_INTEGER)) {
    for (const entry of page) terminal.jsonLine(entry)
    const listed = page.map((entry) => ({ ...entry, nameBytes: nameBytesOf(entry) }))
    terminal.bytes(folderLines(listed, style))
    await terminal.written()
  }
}
