/** @module A file as text, window by window, as its workspace previews it. */
import { MAX_PREVIEW_BYTES } from '@atrium/runtime-contract/file-inspection'
import { CliFailure, EXIT } from '../failure.ts'
import {
  type InspectContext,
  type InspectedPlace,
  type InspectedPreview,
  previewFile,
} from '../platform/inspected-files.ts'

/**
 * Windows from the beginning of the file to `maxBytes` of it, one after the other; only one when the
 * file is binary. Throws when the file changes meanwhile, or when a window brings nothing new.
 */
export async function* previewWindows(
  context: InspectContext,
  place: InspectedPlace,
  maxBytes: number,
): AsyncGenerator<InspectedPreview> {
  let offset = 0
  let version: string | undefined
  while (offset < maxBytes) {
    const limit = Math.min(maxBytes - offset, MAX_PREVIEW_BYTES)
    const window = await previewFile(context, place, { offset, limit })
    if (version !== undefined && window.version !== version) {
      throw new CliFailure(EXIT.failed, 'the file changed while it was read', {
        hint: 'what is written all the time is shown by --tail',
      })
    }
    yield window
    if (window.binary || window.next_offset >= window.size) return
    if (window.next_offset <= offset) {
      throw new CliFailure(EXIT.failed, 'the workspace answered with the same window again')
    }
    offset = window.next_offset
    version = window.version
  }
}
