/** @module `atrium files cat`. */
import { MAX_PREVIEW_BYTES } from '@atrium/runtime-contract/file-inspection'
import type { CommandContext } from '../command-context.ts'
import { CliFailure, EXIT, usageFailure } from '../failure.ts'
import { downloadToStream } from '../files/download-file.ts'
import { previewWindows } from '../files/preview-windows.ts'
import { lastName } from '../files/remote-location.ts'
import {
  type InspectedPlace,
  type InspectedPreview,
  previewFile,
} from '../platform/inspected-files.ts'
import { firstLines, lastLines } from '../terminal/lines.ts'
import { fileSourceOf } from './files-get.ts'
import { findPlace, type PlaceOptions } from './files-place.ts'

export type CatOptions = PlaceOptions & {
  readonly head?: number
  readonly tail?: number
  readonly lines?: number
}

/**
 * Prints a file. All of it goes into a pipe byte for byte; a terminal, and whoever wants a part, gets
 * it as text: decoded, and for a terminal without what that would obey.
 */
export async function catCommand(
  context: CommandContext,
  location: string,
  options: CatOptions,
): Promise<void> {
  assertMakesSense(options)
  const place = await findPlace(context, location, options)
  if (lastName(place.path) === undefined) throw usageFailure('name a file, such as hello:notes.md')
  const { terminal } = context
  const isPart = [options.head, options.tail, options.lines].some((each) => each !== undefined)
  if (!isPart && !terminal.isJson && terminal.stdout.isTTY !== true) {
    await downloadToStream(context, fileSourceOf(context, place), terminal.stdout)
    return
  }
  if (options.tail !== undefined)
    await printTail(context, place, { ...options, tail: options.tail })
  else await printWindows(context, place, options)
}

function assertMakesSense({ head, tail }: CatOptions): void {
  if (head !== undefined && tail !== undefined)
    throw usageFailure('--head and --tail exclude each other')
  if (tail !== undefined && tail > MAX_PREVIEW_BYTES) {
    throw usageFailure(`--tail wants at most ${MAX_PREVIEW_BYTES} bytes`)
  }
}

async function printTail(
  context: CommandContext,
  place: InspectedPlace,
  { tail, lines }: CatOptions & { readonly tail: number },
): Promise<void> {
  const window = await previewFile(context, place, { tail })
  await print(context, window, (text) => (lines === undefined ? text : lastLines(text, lines)))
}

async function printWindows(
  context: CommandContext,
  place: InspectedPlace,
  options: CatOptions,
): Promise<void> {
  let wanted = options.lines ?? Number.POSITIVE_INFINITY
  for await (const window of previewWindows(
    context,
    place,
    options.head ?? Number.MAX_SAFE_INTEGER,
  )) {
    await print(context, window, (text) => {
      const first = firstLines(text, wanted)
      wanted -= first.finished
      return first.text
    })
    if (wanted === 0) return
  }
}

/** JSON says of a binary file that it is one; text there is none to print. */
async function print(
  { terminal }: CommandContext,
  window: InspectedPreview,
  choose: (text: string) => string,
): Promise<void> {
  const text = window.text === null ? null : choose(window.text)
  if (text === null && !terminal.isJson) {
    throw new CliFailure(EXIT.failed, 'the file is binary: it has no text to show', {
      hint: 'fetch it with `atrium files get`, or pipe all of it somewhere',
    })
  }
  terminal.jsonLine({ ...window, text })
  terminal.foreign(text ?? '')
  await terminal.written()
}
