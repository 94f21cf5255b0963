/** @module `atrium files get`. */
import { nameInPath } from '../a2a/file-part.ts'
import type { CommandContext } from '../command-context.ts'
import { usageFailure } from '../failure.ts'
import { downloadToFile, downloadToStream } from '../files/download-file.ts'
import { chooseTarget, isToStdout, type OutputOptions } from '../files/download-target.ts'
import { type FileSource, streamedFile } from '../files/file-source.ts'
import { lastName } from '../files/remote-location.ts'
import { sessionFile } from '../files/session-file.ts'
import type { InspectedPlace } from '../platform/inspected-files.ts'
import { saySaved } from './download.ts'
import { findPlace, type PlaceOptions } from './files-place.ts'

export type GetFileOptions = PlaceOptions & OutputOptions

/** The bytes of a file, from whichever route has them. */
export function fileSourceOf(context: CommandContext, place: InspectedPlace): FileSource {
  const { workspaceId, path, session } = place
  if (session !== undefined) return sessionFile(context, place)
  return streamedFile(context, { workspaceId, path, route: ['files', 'download'] })
}

/** Fetches one file, to a file or to standard output. */
export async function getFileCommand(
  context: CommandContext,
  location: string,
  options: GetFileOptions,
): Promise<void> {
  const isStreamed = isToStdout(options, context.terminal)
  const place = await findPlace(context, location, options)
  const name = lastName(place.path)
  if (name === undefined) throw usageFailure('name a file, such as hello:report.md')
  const source = fileSourceOf(context, place)
  if (isStreamed) {
    await downloadToStream(context, source, context.terminal.stdout)
    return
  }
  const target = await chooseTarget(context.cwd, nameInPath(name), options)
  saySaved(context, source, await downloadToFile(context, source, target))
}
