/** @module `atrium files tar`. */
import type { ArchiveFormat } from '@atrium/runtime-contract/file-inspection'
import type { CommandContext } from '../command-context.ts'
import { archiveSource, formatOfName } from '../files/archive-source.ts'
import { downloadToFile, downloadToStream } from '../files/download-file.ts'
import { chooseTarget, isToStdout, type OutputOptions } from '../files/download-target.ts'
import { lastName } from '../files/remote-location.ts'
import { saySaved } from './download.ts'
import { findPlace } from './files-place.ts'

export type ArchiveOptions = OutputOptions & { readonly format?: ArchiveFormat }

/** Fetches a folder as one archive, to a file or to standard output. */
export async function archiveCommand(
  context: CommandContext,
  location: string,
  options: ArchiveOptions,
): Promise<void> {
  const isStreamed = isToStdout(options, context.terminal)
  const place = await findPlace(context, location, {})
  const format = options.format ?? formatOfName(options.output ?? '') ?? 'tar'
  const source = archiveSource(context, place, format)
  if (isStreamed) {
    await downloadToStream(context, source, context.terminal.stdout)
    return
  }
  const name = `${lastName(place.path) ?? 'files'}.${format}`
  const target = await chooseTarget(context.cwd, name, options)
  saySaved(context, source, await downloadToFile(context, source, target))
}
